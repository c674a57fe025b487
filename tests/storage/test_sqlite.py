"""What only SQLite's ledger can do or suffer: its lock, its file, its query plans."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry
from service.storage.sqlite.ledger import SqliteLedger
from service.storage.sqlite.statements import statements
from tests.support import builders


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def outcomes(ledger: SqliteLedger, *entries: Entry) -> list[Outcome]:
    return [verdict.outcome for verdict in ledger.commit(entries).verdicts]


@pytest.mark.usefixtures("sqlite_ledger")
def test_the_lookup_of_winners_uses_the_primary_key(path: Path) -> None:
    plan = rows(path, f"EXPLAIN QUERY PLAN {statements().winners.for_rows(2)}".replace("?", "''"))
    assert any("SEARCH conversion USING PRIMARY KEY" in str(step[3]) for step in plan)
    assert not any("SCAN conversion" in str(step[3]) for step in plan)


def test_a_second_process_may_not_write_the_same_file(sqlite_ledger: SqliteLedger, path: Path) -> None:
    assert sqlite_ledger
    with pytest.raises(StorageError, match="another process is serving"):
        SqliteLedger(path).open()


def test_a_closed_ledger_leaves_the_file_to_the_next(sqlite_ledger: SqliteLedger) -> None:
    sqlite_ledger.commit([builders.postback()])
    sqlite_ledger.close()
    sqlite_ledger.open()
    assert outcomes(sqlite_ledger, builders.postback()) == [Outcome.DUPLICATE]


def test_another_programs_write_lock_is_an_error_that_passes(sqlite_ledger: SqliteLedger, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError) as busy:
        sqlite_ledger.commit([builders.postback()])
    assert busy.value.kind == ErrorKind.SQLITE_BUSY
    assert not isinstance(busy.value, StorageBroken)
    other.execute("ROLLBACK")
    other.close()
    assert outcomes(sqlite_ledger, builders.postback()) == [Outcome.STORED]


def test_a_moved_file_is_never_acknowledged(sqlite_ledger: SqliteLedger, path: Path) -> None:
    sqlite_ledger.commit([builders.postback("c=first&value=1")])
    path.rename(path.with_suffix(".moved"))
    with pytest.raises(StorageBroken, match="was moved or deleted") as raised:
        sqlite_ledger.commit([builders.postback()])
    assert raised.value.rows == {"conversion": 1}  # durable all the same: the books count it


def test_a_directory_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "postback.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError):
        SqliteLedger(path).open()
