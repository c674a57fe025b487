"""Owns copies of a SQLite file: one taken while it is served, one put in its place. PostgreSQL has its own tools."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageError
from service.storage.new_file import new_file, sync
from service.storage.schema.registry import OF_POSTBACKS
from service.storage.sqlite.file import (
    FileLock,
    assert_there,
    create_private_directory,
    read_only,
    storage_error,
    sync_directory,
)
from service.storage.sqlite.ledger import migrations_of
from service.storage.sqlite.restoring import restoring

_PAGES = 2_000  # copied at a time, 8 MB: between two of them there is time to tell how far it is
_BESIDE = ("", "-wal", "-shm")  # SQLite's three names of one database

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is complete, checked and durable: how many rows it has, by table."""

    path: Path
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the place of a database now, and where what stood there before has gone; None: nothing did."""

    copy: Copy
    before: Path | None


def back_up(source: Path, target: Path, tell: Tell = lambda _: None, pages: int = _PAGES) -> Copy:
    """Copy a database as it is now into a new file, while it is being served; `tell` hears the share that is done.

    So many `pages` are copied at a time, and one read transaction spans them all: writers go on, and nothing that they
    do meanwhile is in the copy. Everything that was acknowledged before the call is. Raises StorageError: then there is
    no target.
    """
    assert_there(source)
    try:
        with new_file(target) as part:
            _copy_pages(source, part, tell, pages)
            rows = check(part)
    except sqlite3.Error as error:
        raise storage_error(error) from error
    except FileExistsError as error:
        raise StorageError(f"{target} is there already; a backup never replaces a file", ErrorKind.EXISTS) from error
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return Copy(target, rows)


def restore(backup: Path, target: Path) -> Restored:
    """Put a copy of a backup in a database's place; what stands there is moved aside, with its write-ahead log.

    Both files are locked until the new one is durable: who is started meanwhile is told so. Raises StorageError when
    the backup is damaged or not ours, or while a process serves the target: then nothing has changed.
    """
    rows = _checked(backup)
    try:
        create_private_directory(target.parent)
        was_there = target.exists()
        with restoring(target) as moving, closing(FileLock(target, restoring=True)), ExitStack() as locked:
            with new_file(target, replaces=True) as part:
                locked.enter_context(closing(FileLock(part)))
                shutil.copyfile(backup, part)
                sync(part)
                moving()
                before = _move_aside(target) if was_there else None
            sync_directory(target.absolute())
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return Restored(Copy(target, rows), before)


def check(path: Path) -> dict[str, int]:
    """Read a copy through and return its rows by table. Raises StorageError if it is damaged or none of ours."""
    try:
        with closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise StorageError(f"{path} is damaged: {said}", ErrorKind.SQLITE_CORRUPT)
            count = "SELECT count(*) FROM "
            return {it.name: connection.execute(count + it.name).fetchone()[0] for it in OF_POSTBACKS}
    except sqlite3.Error as error:
        raise StorageError(f"{path} is no backup of ours: {error}", ErrorKind.SQLITE_NOTADB) from error


def _checked(backup: Path) -> dict[str, int]:
    if not backup.exists():
        raise StorageError(f"there is no file {backup}", ErrorKind.NO_DATABASE)
    rows = check(backup)
    if (status := migrations_of(backup).status()).refusal and not status.pending:
        raise StorageError(f"{backup} cannot be used: {status.refusal}", ErrorKind.MIGRATION)
    return rows


def _copy_pages(source: Path, part: Path, tell: Tell, pages: int) -> None:
    with (
        closing(sqlite3.connect(read_only(source), uri=True, isolation_level=None)) as reading,
        closing(sqlite3.connect(part, isolation_level=None)) as writing,
    ):
        reading.execute("PRAGMA wal_autocheckpoint=0")
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is one moment
        reading.backup(writing, pages=pages, progress=lambda _, left, total: tell(1 - left / max(total, 1)))
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it


def _move_aside(target: Path) -> Path:
    """Rename a database and its log together: a log beside another database would be taken for its own."""
    before = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    for suffix in _BESIDE:
        old = Path(f"{target}{suffix}")
        if old.exists():
            old.rename(f"{before}{suffix}")
    return before
