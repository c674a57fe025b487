"""What only a SQLite file can be asked: is it whole, how is it journaled, and what if it is none of ours."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry
from service.storage.audit import Window
from service.storage.sqlite.audit import SqliteAudit
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders

ALL = Window("0" * 16, builders.RECEIVED_AT, builders.RECEIVED_AT + timedelta(minutes=1))


def entries() -> list[Entry]:
    """Return two conversions, a duplicate, a conflict and a rejection."""
    return [
        builders.postback("c=a&value=1"),
        builders.postback("c=b&value=1&goal=g"),
        builders.postback("c=a&value=1"),
        builders.postback("c=a&value=2"),
        builders.rejection(),
    ]


def close_with(path: Path, kept: list[Entry]) -> None:
    """Make a file that nobody serves."""
    ledger = SqliteLedger(path)
    ledger.open()
    for start in range(0, len(kept), 200):
        ledger.commit(kept[start : start + 200])
    ledger.close()


def change(path: Path, statement: str, *parameters: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, parameters)


@pytest.mark.usefixtures("sqlite_ledger")
def test_the_audit_cannot_write(path: Path) -> None:
    with SqliteAudit(path) as audit, pytest.raises(StorageError, match="SQLITE_READONLY"):
        audit.rows("DELETE FROM conversion")


def test_a_file_that_was_never_migrated_has_no_version(tmp_path: Path) -> None:
    change(tmp_path / "other.db", "CREATE TABLE conversion (a)")
    with SqliteAudit(tmp_path / "other.db") as audit:
        assert audit.schema_version() == ""


def test_a_damaged_page_is_found(path: Path) -> None:
    close_with(path, [builders.postback(f"c={number}&value=1") for number in range(200)])
    with path.open("r+b") as file:
        file.seek(-3000, 2)
        file.write(b"\xff" * 2000)
    with SqliteAudit(path) as audit:
        assert audit.damage(deep=False)


@pytest.mark.parametrize("deep", [False, True])
def test_only_a_deep_look_compares_indexes_with_their_tables(path: Path, *, deep: bool) -> None:
    close_with(path, entries())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX ix_duplicate_click_id ON duplicate (request_id)' "
            "WHERE name = 'ix_duplicate_click_id'"
        )
    with SqliteAudit(path) as audit:
        assert bool(audit.damage(deep=deep)) is deep


def test_a_question_that_takes_too_long_is_not_answered(path: Path) -> None:
    close_with(path, [builders.postback(f"c={number}&value=1") for number in range(2000)])
    with SqliteAudit(path, seconds=0) as audit, pytest.raises(StorageError) as raised:
        audit.counts(ALL)
    assert raised.value.kind == ErrorKind.INTERRUPTED


def test_no_file_is_said_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised, SqliteAudit(tmp_path / "none.db"):
        pass
    assert raised.value.kind == ErrorKind.NO_DATABASE
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"long enough to be read as a header" * 99)
    with pytest.raises(StorageBroken, match="SQLITE_NOTADB"), SqliteAudit(tmp_path / "text.db") as audit:
        audit.journal_mode()


@pytest.mark.parametrize("name", ["a b#c?d%20.db", "ü.db"])
def test_a_name_that_means_something_in_a_url_is_no_trouble(tmp_path: Path, name: str) -> None:
    change(tmp_path / name, "CREATE TABLE conversion (a)")
    with SqliteAudit(tmp_path / name) as audit:
        assert audit.journal_mode() == "delete"


def test_a_served_file_is_whole_and_in_wal_mode(sqlite_ledger: SqliteLedger, path: Path) -> None:
    for entry in entries():
        sqlite_ledger.commit([entry])
    with SqliteAudit(path) as audit:
        assert audit.journal_mode() == "wal"
        assert audit.damage(deep=False) == audit.damage(deep=True) == []
