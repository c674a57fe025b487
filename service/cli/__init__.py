"""Owns the command line: `python -m service <command>`, one module for each command."""

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
    run,
    secrets,
    senders,
)
from service.cli.exit_codes import Commands
from service.cli.send import command as send

app = typer.Typer(
    cls=Commands,
    name="python -m service",
    help="The postback receiver that never lies. Exit codes: 0 done, 1 the answer is no, 2 bad usage or configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    run.run,
    send.send,
    check.check,
    lookup.lookup,
    replay.replay,
    erase.erase,
    erase.deletions,
    doctor.doctor,
    backup.backup,
    backup.restore,
):
    app.command()(command)
app.command("import")(importing.import_)
app.command()(export.export)
app.command()(reconcile.reconcile)
app.add_typer(rejected.app, name="rejected")
app.add_typer(migrate.app, name="migrate")
app.add_typer(senders.app, name="senders")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
