"""Owns copies of a SQLite database as people ask for them: one taken while it is served, one put in its place."""

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from service.operations.errors import Refused
from service.storage.database import Database
from service.storage.sqlite import backup as sqlite
from service.storage.sqlite.database import SqliteDatabase

_ELSEWHERE = "PostgreSQL is backed up with its own tools (pg_basebackup and an archive): docs/backup.md has the recipe"


class CopyMembers(TypedDict):
    """A complete copy as JSON shows it: where, and how many rows it has, by table."""

    path: str
    rows: dict[str, int]


class RestoredMembers(CopyMembers):
    """What stands in a database's place now, and where what stood there before has gone; None: nothing did."""

    before: str | None


def back_up(database: Database, target: Path, tell: Callable[[float], None]) -> CopyMembers:
    """Copy a database into a new file while it is served; `tell` hears the share that is done.

    Raises Refused on PostgreSQL, StorageError: then there is no target.
    """
    copied = sqlite.back_up(_file(database), target, tell)
    return {"path": str(copied.path), "rows": copied.rows}


def restore(database: Database, source: Path) -> RestoredMembers:
    """Put a backup in a database's place; what stands there is moved aside.

    Raises Refused on PostgreSQL, StorageError: then nothing has changed.
    """
    restored = sqlite.restore(source, _file(database))
    copied, before = restored.copy, restored.before
    return {"path": str(copied.path), "rows": copied.rows, "before": None if before is None else str(before)}


def _file(database: Database) -> Path:
    if not isinstance(database, SqliteDatabase):
        raise Refused(_ELSEWHERE)
    return database.path
