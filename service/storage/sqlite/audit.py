"""Owns how a SQLite file is asked: on a connection that can neither write nor checkpoint; and whether it is whole."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from service.core.unavailable import ErrorKind, StorageError
from service.storage.audit import Audit, Value
from service.storage.sqlite.file import assert_there, storage_error
from service.storage.sqlite.ledger import utc_text

_STEPS = 10_000  # of SQLite's virtual machine, between two looks at the clock: well under a millisecond
_BUSY_SECONDS = 2.0


class SqliteAudit(Audit):
    """Questions to one file."""

    sha256 = "sha256(click_id)"
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    earlier = "strftime('%Y-%m-%d %H:%M:%f', {moment}, '-{seconds} seconds')"
    contains = "instr({raw}, CAST('{text}' AS BLOB)) > 0"

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self._path = path
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Open the file."""
        assert_there(self._path)
        with _told():
            self._connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._connection.create_function("sha256", 1, _sha256, deterministic=True)
        if self._seconds is not None:
            deadline = time.monotonic() + self._seconds
            self._connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and end what it read."""
        self._connection.close()

    def pin(self) -> None:
        """Begin a read, which sees the file as it is now until the end."""
        self.rows("BEGIN")
        self.rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def journal_mode(self) -> str:
        """Return how the file is journaled: `wal` in a file of ours."""
        return str(self.rows("PRAGMA journal_mode")[0][0])

    def damage(self, *, deep: bool) -> list[str]:
        """Return what is broken in the file's structure; `deep` compares every index with its table as well."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check" if deep else "PRAGMA quick_check")]
        return [] if found == ["ok"] else found

    def schema_version(self) -> str:
        """Read Alembic's table, if there is one."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"):
            return ""
        return ", ".join(str(row[0]) for row in self.rows("SELECT version_num FROM alembic_version"))

    def columns(self, table: str) -> dict[str, bool]:
        """Ask SQLite."""
        return {str(row[1]): bool(row[5]) for row in self.rows(f"PRAGMA table_info({table})")}

    def moment(self, moment: datetime) -> Value:
        """Return the text that the tables hold."""
        return utc_text(moment)

    def rows(self, statement: str, **parameters: Value) -> list[tuple[Value, ...]]:
        """Ask a question; parameters are `:named`."""
        with _told():
            return self._connection.execute(statement, parameters).fetchall()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        told = storage_error(error)
        if told.kind == ErrorKind.SQLITE_INTERRUPT:
            raise StorageError(str(told), ErrorKind.INTERRUPTED) from error
        raise told from error
