"""The ledger: one verdict for each entry in order, first value wins, nothing lost, durable or an error."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.outcome import Outcome
from service.storage.engine import StorageBroken, StorageError
from service.storage.ledger import MAX_BATCH, Entry, Probe
from service.storage.sqlite import SqliteLedger, winners_statement
from tests import builders


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


def outcomes(ledger: SqliteLedger, *entries: Entry) -> list[Outcome]:
    return [verdict.outcome for verdict in ledger.commit(entries).verdicts]


def test_a_conversion_is_stored_as_it_was_sent(ledger: SqliteLedger, path: Path) -> None:
    sent = builders.postback("c=cl%C3%AFck&value=1.50&currency=EUR&goal=sale&txid=t1&x=1&x=2")
    assert outcomes(ledger, sent) == [Outcome.STORED]
    key = ("ezmob", 0, "clïck", "sale", "t1")
    value = ("1.50", 1_500_000, "EUR", '{"x":["1","2"]}')
    arrival = ("2026-01-02 03:04:05.678901", sent.raw.request_id, "postback")
    assert rows(path, "SELECT * FROM conversion") == [(*key, *value, *arrival)]


def test_a_repeated_key_with_the_same_value_is_a_duplicate_and_changes_nothing(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.commit([builders.postback("c=a&value=1.5&x=first")])
    before = rows(path, "SELECT * FROM conversion")
    again = builders.postback("c=a&value=1.50&x=second")
    assert outcomes(ledger, again) == [Outcome.DUPLICATE]
    assert rows(path, "SELECT * FROM conversion") == before
    assert rows(path, "SELECT click_id, request_id FROM duplicate") == [("a", again.raw.request_id)]


@pytest.mark.parametrize("later", ["c=a&value=2", "c=a&value=1&currency=USD"])
def test_a_repeated_key_with_another_value_is_a_conflict_and_both_are_kept(
    ledger: SqliteLedger, path: Path, later: str
) -> None:
    ledger.commit([builders.postback("c=a&value=1")])
    second = builders.postback(later)
    assert outcomes(ledger, second) == [Outcome.CONFLICT]
    assert rows(path, "SELECT value, currency FROM conversion") == [("1", None)]
    kept = rows(path, "SELECT outcome, click_id, raw, request_id FROM rejected_postback")
    assert kept == [("conflict", "a", b"GET /postback?" + later.encode(), second.raw.request_id)]


@pytest.mark.parametrize("other", ["c=b&value=1", "c=A&value=1", "c=a&value=1&goal=g", "c=a&value=1&txid=t"])
def test_any_part_of_the_key_makes_another_conversion(ledger: SqliteLedger, other: str) -> None:
    assert outcomes(ledger, builders.postback("c=a&value=1"), builders.postback(other)) == [Outcome.STORED] * 2


def test_twins_in_one_batch_are_judged_in_order(ledger: SqliteLedger) -> None:
    batch = [builders.postback(query) for query in ("c=a&value=1", "c=a&value=1", "c=a&value=2", "c=b&value=1")]
    assert outcomes(ledger, *batch) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.STORED]


def test_everything_at_once_gets_its_verdict_in_order(ledger: SqliteLedger, path: Path) -> None:
    ledger.commit([builders.postback("c=a&value=1")])
    batch: list[Entry] = [
        builders.rejection(Outcome.UNEXPANDED_MACRO),
        builders.postback("c=new&value=1"),
        Probe(datetime(2026, 1, 1, tzinfo=UTC)),
        builders.postback("c=a&value=1"),
        builders.postback("c=a&value=9"),
    ]
    assert outcomes(ledger, *batch) == [
        Outcome.UNEXPANDED_MACRO,
        Outcome.STORED,
        Outcome.STORED,
        Outcome.DUPLICATE,
        Outcome.CONFLICT,
    ]
    assert rows(path, "SELECT count(*) FROM conversion") == [(2,)]
    assert rows(path, "SELECT outcome FROM rejected_postback ORDER BY id") == [("unexpanded_macro",), ("conflict",)]
    assert rows(path, "SELECT probed_at FROM write_probe") == [("2026-01-01 00:00:00.000000",)]


def test_the_same_entry_committed_twice_is_still_one_conversion(ledger: SqliteLedger) -> None:
    sent = builders.postback()
    assert outcomes(ledger, sent, sent) == [Outcome.STORED] * 2  # its own request_id won: an ambiguous commit retried


@pytest.mark.parametrize("size", [1, 2, MAX_BATCH])
def test_a_batch_of_any_size_is_stored_whole(ledger: SqliteLedger, path: Path, size: int) -> None:
    batch = [builders.postback(f"c=click-{number}&value=1") for number in range(size)]
    assert outcomes(ledger, *batch) == [Outcome.STORED] * size
    assert rows(path, "SELECT count(*) FROM conversion") == [(size,)]


def test_a_batch_of_rejections_only_is_kept(ledger: SqliteLedger, path: Path) -> None:
    assert outcomes(ledger, *[builders.rejection()] * 3) == [Outcome.INVALID_VALUE] * 3
    assert rows(path, "SELECT count(*) FROM rejected_postback") == [(3,)]


@pytest.mark.usefixtures("ledger")
def test_the_lookup_of_winners_uses_the_primary_key(path: Path) -> None:
    plan = rows(path, f"EXPLAIN QUERY PLAN {winners_statement(2)}".replace("?", "''"))
    assert any("SEARCH conversion USING PRIMARY KEY" in str(step[3]) for step in plan)
    assert not any("SCAN conversion" in str(step[3]) for step in plan)


def test_a_second_process_may_not_write_the_same_file(ledger: SqliteLedger, path: Path) -> None:
    assert ledger
    with pytest.raises(StorageError, match="another process is serving"):
        SqliteLedger(path).open()


def test_a_closed_ledger_leaves_the_file_to_the_next(ledger: SqliteLedger) -> None:
    ledger.commit([builders.postback()])
    ledger.close()
    ledger.open()
    assert outcomes(ledger, builders.postback()) == [Outcome.DUPLICATE]


def test_another_programs_write_lock_is_an_error_that_passes(ledger: SqliteLedger, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError) as busy:
        ledger.commit([builders.postback()])
    assert busy.value.kind == "SQLITE_BUSY"
    assert not isinstance(busy.value, StorageBroken)
    other.execute("ROLLBACK")
    other.close()
    assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


def test_a_moved_file_is_never_acknowledged(ledger: SqliteLedger, path: Path) -> None:
    ledger.commit([builders.postback("c=first&value=1")])
    path.rename(path.with_suffix(".moved"))
    with pytest.raises(StorageBroken, match="was moved or deleted"):
        ledger.commit([builders.postback()])


def test_a_failed_second_half_fails_the_whole_batch(ledger: SqliteLedger, path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE rejected_postback")
    other.close()
    with pytest.raises(StorageError):
        ledger.commit([builders.postback(), builders.rejection()])
    assert outcomes(ledger, builders.postback("c=next&value=1")) == [Outcome.STORED]  # no transaction was left open


def test_a_directory_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "postback.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError):
        SqliteLedger(path).open()


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(ledger: SqliteLedger, path: Path) -> None:
    ledger.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    with pytest.raises(StorageError, match="cannot be migrated"):
        ledger.open()
    assert rows(path, "SELECT version_num FROM alembic_version") == [("9999",)]
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alembic_version SET version_num = '0001'")
    other.close()
    ledger.open()  # the lock was let go
