"""Owns copies of a SQLite file: one taken while it is served, one put in its place. PostgreSQL has its own tools."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageError
from service.storage.schema.registry import OF_POSTBACKS
from service.storage.sqlite.file import (
    FileLock,
    assert_there,
    create_private,
    create_private_directory,
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
    if target.exists():
        raise StorageError(f"{target} is there already; a backup never replaces a file", ErrorKind.EXISTS)
    part = target.with_name(f"{target.name}.part")
    try:
        with ExitStack() as stack:
            stack.callback(part.unlink, missing_ok=True)
            _copy_pages(source, part, tell, pages)
            rows = check(part)
            _publish(part, target)
    except sqlite3.Error as error:
        raise storage_error(error) from error
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return Copy(target, rows)


def restore(backup: Path, target: Path) -> Restored:
    """Put a copy of a backup in a database's place; what stands there is moved aside, with its write-ahead log.

    Both files are locked until the new one is durable: who is started meanwhile is told so. Raises StorageError when
    the backup is damaged or not ours, or while a process serves the target: then nothing has changed.
    """
    rows = _checked(backup)
    part = target.with_name(f"{target.name}.part")
    try:
        create_private_directory(target.parent)
        was_there = target.exists()
        with restoring(target) as moving, closing(FileLock(target, restoring=True)):
            part.unlink(missing_ok=True)
            with closing(FileLock(part)):
                shutil.copyfile(backup, part)
                _sync(part)
                moving()
                before = _move_aside(target) if was_there else None
                _publish(part, target)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return Restored(Copy(target, rows), before)


def check(path: Path) -> dict[str, int]:
    """Read a copy through and return its rows by table. Raises StorageError if it is damaged or none of ours."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
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


def _begin(part: Path) -> None:
    """Begin an empty file that nobody else may read, whatever an earlier try left there."""
    part.unlink(missing_ok=True)
    create_private(part)


def _copy_pages(source: Path, part: Path, tell: Tell, pages: int) -> None:
    _begin(part)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as reading,
        closing(sqlite3.connect(part, isolation_level=None)) as writing,
    ):
        reading.execute("PRAGMA wal_autocheckpoint=0")
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is one moment
        reading.backup(writing, pages=pages, progress=lambda _, left, total: tell(1 - left / max(total, 1)))
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it


def _publish(part: Path, target: Path) -> None:
    """Give a complete file its name, so that a power cut leaves all of it or nothing."""
    _sync(part)
    part.rename(target)
    sync_directory(target.absolute())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_aside(target: Path) -> Path:
    """Rename a database and its log together: a log beside another database would be taken for its own."""
    before = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    for suffix in _BESIDE:
        old = Path(f"{target}{suffix}")
        if old.exists():
            old.rename(f"{before}{suffix}")
    return before
