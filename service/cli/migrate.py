"""Owns the commands `migrate …`: bring a database's schema forward or back, and say where it is."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.printing import Json, print_json, say
from service.cli.setting_up import configured_database, refuse, settings_or_refuse, storage_or_refuse

if TYPE_CHECKING:
    from service.operations.migrate import Schema

app = typer.Typer(
    help="Bring the schema of the database forward or back, say where it is, or move everything to another database.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def up(*, as_json: Json = False) -> None:
    """Run what is pending, while old and new versions of the service serve.

    Several hosts may run this at the same time: one does it, the others
    wait for it. A table that writers use is never locked for longer than
    a second. On SQLite the service must be stopped, and does this itself
    at its start.

    Example: python -m service migrate up

    Exit code: 0 nothing is pending any more, 2 it cannot be done.
    """
    from service.operations import migrate

    with configured_database() as database:
        schema = migrate.up(database, (lambda _: None) if as_json else say)
    _print(schema, as_json=as_json)


@app.command()
def down(
    target: Annotated[str, typer.Argument(help="The version to go back to, as `status` shows it; `base` is empty.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what only the newer versions store is deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Go back to an older version. What only newer versions store is deleted.

    Example: python -m service migrate down 0005

    Exit code: 0 done, 2 it cannot be done, or --yes is missing.
    """
    if not yes:
        refuse([f"going back to {target} deletes what newer versions store; say --yes, and have a backup"])
    from service.operations import migrate

    with configured_database() as database:
        schema = migrate.down(database, target)
    _print(schema, as_json=as_json)


@app.command()
def status(*, as_json: Json = False) -> None:
    """Say where the database is, and what is pending. Changes nothing.

    JSON keys: current, newest, oldest_code, usable, pending [{number
    sentence}].

    Example: python -m service migrate status

    Exit code: 0 this version can work with it, 1 it cannot, 2 it cannot
    be read.
    """
    from service.operations import migrate

    with configured_database() as database:
        schema = migrate.status(database)
    _print(schema, as_json=as_json)
    raise typer.Exit(1 if schema.refusal else 0)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="The SQLite file, as in sqlite:///data/postback.db; not being served.")],
    target: Annotated[
        str | None, typer.Argument(help="The PostgreSQL database; by default POSTBACK_DATABASE_URL, which ps(1) hides.")
    ] = None,
    *,
    as_json: Json = False,
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
    from service.operations import migrate

    target_url = target or settings_or_refuse().database_url
    with storage_or_refuse("Nothing is lost: when the reason is mended, the same command goes on where it was."):
        compared = migrate.copy(source, target_url, _progress)
    if as_json:
        print_json(compared.members())
    else:
        for it in compared.tables:
            word = "the same" if it.equal else f"DIFFERENT, {it.target_rows:,} rows there"
            say(f"{it.table}: {it.source_rows:,} rows, checksum {it.source_checksum}: {word}")
    raise typer.Exit(0 if compared.equal else 1)


def _progress(table: str, done: int, total: int) -> None:
    say(f"{table}: {done:,} of {total:,}", err=True)


def _print(schema: "Schema", *, as_json: bool) -> None:
    if as_json:
        print_json(schema.members())
        return
    say(f"the database is at {schema.current or 'none'}, this code at {schema.newest}")
    for version in schema.pending:
        say(f"pending {version.number}: {version.sentence}")
    if schema.refusal and not schema.pending:
        say(schema.refusal)
