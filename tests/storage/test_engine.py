"""The engine: durable settings on the writer, no way to write for a reader, clear words for wrong URLs."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.storage.location import SqliteFile, location_of
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.file import connect_writer, reader_engine, storage_error


def test_the_writer_is_in_wal_mode_and_syncs_every_commit(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "p.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_connection_that_cannot_be_made_durable_is_refused() -> None:
    with pytest.raises(StorageBroken, match="journal_mode=memory"):
        connect_writer(Path(":memory:"))  # SQLite knows no WAL there


@pytest.mark.usefixtures("sqlite_ledger")
def test_a_reader_cannot_write(path: Path) -> None:
    with reader_engine(path).connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM conversion"))


def test_a_reader_of_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no database at"):
        SqliteDatabase(SqliteFile(tmp_path / "none.db")).history()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/x",
        "sqlite://",
        "postgresql://h/x?nonsense=1",
        "postgresql://h:port/x",
        "sqlite:///:memory:",
        "nonsense",
    ],
)
def test_a_url_we_cannot_serve_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        location_of(url)


@pytest.mark.parametrize(
    ("code", "name", "kind", "broken"),
    [
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", ErrorKind.SQLITE_FULL, False),
        (sqlite3.SQLITE_BUSY, "SQLITE_BUSY", ErrorKind.SQLITE_BUSY, False),
        (sqlite3.SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT", ErrorKind.SQLITE_OTHER, False),
        (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC", ErrorKind.SQLITE_IOERR, True),
        (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", ErrorKind.SQLITE_IOERR, True),
        (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", ErrorKind.SQLITE_CORRUPT, True),
    ],
)
def test_only_errors_that_leave_the_connection_trustworthy_may_be_retried(
    code: int, name: str, kind: ErrorKind, *, broken: bool
) -> None:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    classified = storage_error(error)
    assert isinstance(classified, StorageBroken) is broken
    assert classified.kind is kind
    assert str(classified) == f"{name}: it failed"
