"""Owns the commands `backup` and `restore`: a copy of a SQLite database while it is served, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.setting_up import refuse, settings_or_refuse, storage_or_refuse

if TYPE_CHECKING:
    from service.storage.sqlite.backup import Copy

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
_ELSEWHERE = "PostgreSQL is backed up with its own tools (pg_basebackup and an archive): docs/backup.md has the recipe"


def backup(
    target: Annotated[
        Path, typer.Argument(help="The new file. One that exists is never replaced.", show_default=False)
    ],
    *,
    as_json: _Json = False,
) -> None:
    """Copy the SQLite database into a file, while the service runs.

    Every postback that was answered 200 before the command was given is in
    the copy. It is checked, made durable, and then gets its name. Writers
    are not held up; the write-ahead log grows while it is copied.

    JSON keys: path, rows {table: count}.

    Exit code: 0 the copy is complete, 2 there is none.
    """
    from rich.console import Console
    from rich.progress import Progress

    from service.storage.sqlite.backup import back_up

    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("copying", total=1.0)
        with storage_or_refuse():
            copied = back_up(_file(), target, lambda share: progress.update(task, completed=share))
    _print(copied, as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="The backup. It is copied, and stays.", show_default=False)],
    *,
    as_json: _Json = False,
) -> None:
    """Put a backup in the place of the SQLite database. Stop the service first.

    What stands there is not deleted: it is moved aside, with its
    write-ahead log, and the command says where. What was stored after the
    backup was taken is only there.

    JSON keys: path, rows {table: count}, before (null: nothing was there).

    Exit code: 0 done, 2 nothing has changed.
    """
    from service.storage.sqlite.backup import restore as put_back

    with storage_or_refuse():
        restored = put_back(source, _file())
    _print(restored.copy, as_json=as_json, before=restored.before)


def _file() -> Path:
    from service.storage.location import SqliteFile, location_of

    place = location_of(settings_or_refuse().database_url)
    if not isinstance(place, SqliteFile):
        refuse([_ELSEWHERE])
    return place.path


def _print(copied: "Copy", *, as_json: bool, **moved: Path | None) -> None:
    if as_json:
        names = {name: path and str(path) for name, path in moved.items()}
        answer = {"path": str(copied.path), "rows": copied.rows, **names}
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    rows = ", ".join(f"{count} {table}" for table, count in copied.rows.items())
    typer.echo(f"{copied.path}: {rows}")
    if before := moved.get("before"):
        typer.echo(f"what was there before is at {before}; what was stored after the backup is only there")
