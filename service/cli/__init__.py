"""Owns the command line: `postback <command>` once installed, `python -m service <command>` in a checkout.

There is one module for each command.
"""

import inspect
from typing import Annotated

import typer

from service.cli import (
    backup,
    check,
    doctor,
    erase,
    export,
    importing,
    keys,
    lookup,
    migrate,
    reconcile,
    rejected,
    replay,
    reprocess,
    run,
    secrets,
    senders,
)
from service.cli.dashed import OfClickId
from service.cli.exit_codes import Commands
from service.cli.printing import say
from service.cli.send import command as send
from service.core.program import FROM_CHECKOUT, INSTALLED, PROGRAM
from service.core.version import VERSION, revision

app = typer.Typer(
    cls=Commands,
    name=PROGRAM,
    help="The postback receiver that never lies. Exit codes: 0 done, 1 the answer is no, 2 bad usage or configuration, "
    "70 a mistake of this program.",
    no_args_is_help=True,
    add_completion=INSTALLED,  # shells complete the name of a program, and `python -m service` is none
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        say(f"postback {VERSION} (revision {revision()})")
        raise typer.Exit


@app.callback()
def _program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    pass


app.command(cls=run.WithSettings)(run.run)
for command in (
    send.send,
    check.check,
    lookup.lookup,
    replay.replay,
    reprocess.reprocess,
    erase.erase,
    erase.deletions,
    doctor.doctor,
    backup.backup,
    backup.restore,
):
    app.command(cls=OfClickId if command in (lookup.lookup, erase.erase) else None)(command)
app.command("import")(importing.import_)
app.command()(export.export)
app.command()(reconcile.reconcile)
app.add_typer(rejected.app, name="rejected")
app.add_typer(migrate.app, name="migrate")
app.add_typer(senders.app, name="senders")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")


def _name_program(group: typer.Typer) -> None:
    """Call the program in every help text as the person did who typed its name."""
    for known in group.registered_commands:
        known.help = (inspect.getdoc(known.callback) or "").replace(FROM_CHECKOUT, PROGRAM)
    for sub in group.registered_groups:
        if sub.typer_instance:
            _name_program(sub.typer_instance)


_name_program(app)
