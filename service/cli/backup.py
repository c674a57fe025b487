"""Owns the commands `backup` and `restore`: a copy of a SQLite database while it is served, and the way back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from service.cli.printing import Json, print_json, say
from service.cli.setting_up import configured_database


def backup(
    target: Annotated[
        Path, typer.Argument(help="The new file. One that exists is never replaced.", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Copy the SQLite database into a file, while the service runs.

    Every postback that was answered 200 before the command was given is in
    the copy. It is checked, made durable, and then gets its name. Writers
    are not held up; the write-ahead log grows while it is copied.

    JSON keys: path, rows {table: count}.

    Example: python -m service backup /var/backups/postback.db

    Exit code: 0 the copy is complete, 2 there is none.
    """
    from rich.console import Console
    from rich.progress import Progress

    from service.operations.backup import back_up

    with (
        configured_database() as database,
        Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress,
    ):
        task = progress.add_task("copying", total=1.0)
        copied = back_up(database, target, lambda share: progress.update(task, completed=share))
    if as_json:
        print_json(copied)
    else:
        say(f"{copied['path']}: {_counted(copied['rows'])}")


def restore(
    source: Annotated[Path, typer.Argument(help="The backup. It is copied, and stays.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the SQLite database. Stop the service first.

    What stands there is not deleted: it is moved aside, with its
    write-ahead log, and the command says where. What was stored after the
    backup was taken is only there.

    JSON keys: path, rows {table: count}, before (null: nothing was there).

    Example: python -m service restore /var/backups/postback.db

    Exit code: 0 done, 2 nothing has changed.
    """
    from service.operations.backup import restore as put_back

    with configured_database() as database:
        restored = put_back(database, source)
    if as_json:
        print_json(restored)
        return
    say(f"{restored['path']}: {_counted(restored['rows'])}")
    if before := restored["before"]:
        say(f"what was there before is at {before}; what was stored after the backup is only there")


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {table}" for table, count in rows.items())
