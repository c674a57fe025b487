"""Owns the commands `migrate …`: bring a database's schema forward or back, and say where it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.setting_up import refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.storage.database import Database
    from service.storage.migrations import Status

app = typer.Typer(
    help="Bring the schema of the database forward or back, say where it is, or move everything to another database.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


@app.command()
def up(*, as_json: _Json = False) -> None:
    """Run what is pending, while old and new versions of the service serve.

    Several hosts may run this at the same time: one does it, the others
    wait for it. A table that writers use is never locked for longer than
    a second. On SQLite the service must be stopped, and does this itself
    at its start.

    Exit code: 0 nothing is pending any more, 2 it cannot be done.
    """
    with _database() as database:
        tell = (lambda _: None) if as_json else typer.echo
        _print(database.migrations().up(tell=tell), as_json=as_json)


@app.command()
def down(
    target: Annotated[str, typer.Argument(help="The version to go back to, as `status` shows it; `base` is empty.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what only the newer versions store is deleted.")] = False,
    as_json: _Json = False,
) -> None:
    """Go back to an older version. What only newer versions store is deleted.

    Exit code: 0 done, 2 it cannot be done, or --yes is missing.
    """
    if not yes:
        refuse([f"going back to {target} deletes what newer versions store; say --yes, and have a backup"])
    with _database() as database:
        _print(database.migrations().down(target), as_json=as_json)


@app.command()
def status(*, as_json: _Json = False) -> None:
    """Say where the database is, and what is pending. Changes nothing.

    JSON keys: current, newest, oldest_code, usable, pending [{number
    sentence}].

    Exit code: 0 this version can work with it, 1 it cannot, 2 it cannot
    be read.
    """
    with _database() as database, database.audit():
        found = database.migrations().status()
    _print(found, as_json=as_json)
    raise typer.Exit(1 if found.refusal else 0)


@contextmanager
def _database() -> "Iterator[Database]":
    from service.storage.database import database_at
    from service.storage.engine import StorageError

    database = database_at(settings_or_refuse().database_url)
    try:
        yield database
    except StorageError as error:
        refuse([str(error)])


def _print(status: "Status", *, as_json: bool) -> None:
    pending = [{"number": version.number, "sentence": version.sentence} for version in status.pending]
    if as_json:
        answer = {
            "current": status.current,
            "newest": status.newest,
            "oldest_code": status.floor,
            "usable": status.refusal is None,
            "pending": pending,
        }
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(f"the database is at {status.current or 'none'}, this code at {status.newest}")
    for version in pending:
        typer.echo(f"pending {version['number']}: {version['sentence']}")
    if status.refusal and not pending:
        typer.echo(status.refusal)
