"""Owns the commands `migrate …`: bring a database's schema forward or back, and say where it is."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.setting_up import configured_database, refuse, settings_or_refuse, storage_or_refuse

if TYPE_CHECKING:
    from service.storage.location import Location
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
    with configured_database() as database:
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
    with configured_database() as database:
        _print(database.migrations().down(target), as_json=as_json)


@app.command()
def status(*, as_json: _Json = False) -> None:
    """Say where the database is, and what is pending. Changes nothing.

    JSON keys: current, newest, oldest_code, usable, pending [{number
    sentence}].

    Exit code: 0 this version can work with it, 1 it cannot, 2 it cannot
    be read.
    """
    with configured_database() as database, database.audit():
        found = database.migrations().status()
    _print(found, as_json=as_json)
    raise typer.Exit(1 if found.refusal else 0)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="The SQLite file, as in sqlite:///data/postback.db; not being served.")],
    target: Annotated[
        str | None, typer.Argument(help="The PostgreSQL database; by default POSTBACK_DATABASE_URL, which ps(1) hides.")
    ] = None,
    *,
    as_json: _Json = False,
) -> None:
    """Move everything from a SQLite file into an empty PostgreSQL database.

    Stop the service first. The target is migrated, filled in ranges, and
    compared row by row at the end; an interrupted copy goes on where it
    was when the same command is given again. The source is only read.

    Example: python -m service migrate copy sqlite:///data/postback.db

    JSON keys: equal, tables [{table source_rows target_rows
    source_checksum target_checksum equal}].

    Exit code: 0 both hold the same, 1 they differ, 2 it cannot be done.
    """
    from service.storage.copying import copy as copied
    from service.storage.database import PostgresDatabase, SqliteDatabase
    from service.storage.location import PostgresServer, SqliteFile

    file, server = _location(source), _location(target or settings_or_refuse().database_url)
    if not isinstance(file, SqliteFile) or not isinstance(server, PostgresServer):
        refuse(["copy goes from a SQLite file to a PostgreSQL server: sqlite:///… postgresql://…"])
    with storage_or_refuse("Nothing is lost: when the reason is mended, the same command goes on where it was."):
        with SqliteDatabase(file).audit():
            pass  # where there is no file, none is made
        if refusal := SqliteDatabase(file).migrations().status().refusal:
            refuse([f"{file.path}: {refusal}; run `migrate up` there first"])
        PostgresDatabase(server).migrations().up()
        compared = copied(file, server, _progress)
    equal = all(it.equal for it in compared)
    if as_json:
        tables = [{**asdict(it), "equal": it.equal} for it in compared]
        typer.echo(orjson.dumps({"equal": equal, "tables": tables}, option=orjson.OPT_INDENT_2).decode())
    else:
        for it in compared:
            word = "the same" if it.equal else f"DIFFERENT, {it.target_rows:,} rows there"
            typer.echo(f"{it.table}: {it.source_rows:,} rows, checksum {it.source_checksum}: {word}")
    raise typer.Exit(0 if equal else 1)


def _location(url: str) -> "Location":
    from service.storage.location import location_of

    try:
        return location_of(url)
    except ValueError as error:
        refuse([str(error)])


def _progress(table: str, done: int, total: int) -> None:
    typer.echo(f"{table}: {done:,} of {total:,}", err=True)


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
