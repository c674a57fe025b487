"""The audit: every row is accounted for, and each way in which a file can be wrong is found. On real SQLite files."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.outcome import Outcome
from service.storage.audit import (
    INTERRUPTED,
    Audit,
    Counts,
    Window,
    newest_version,
    of_table,
    unknown_outcomes,
)
from service.storage.engine import NO_DATABASE, StorageBroken, StorageError
from service.storage.ledger import Entry, Probe
from service.storage.sqlite import SqliteLedger
from tests import builders

NOW = builders.RECEIVED_AT + timedelta(minutes=1)
STARTED = builders.RECEIVED_AT - timedelta(minutes=1)
OWN = "0" * 16  # builders count their request ids up from 0
ALL = Window(OWN, STARTED, NOW)


def entries() -> list[Entry]:
    """Return two conversions, a duplicate, a conflict and a rejection."""
    return [
        builders.postback("c=a&value=1"),
        builders.postback("c=b&value=1&goal=g"),
        builders.postback("c=a&value=1"),
        builders.postback("c=a&value=2"),
        builders.rejection(Outcome.INVALID_VALUE),
    ]


@pytest.fixture
def stored(ledger: SqliteLedger) -> None:
    """Keep them in a file that goes on being served."""
    for entry in entries():
        ledger.commit([entry])


def close_with(path: Path, kept: list[Entry]) -> None:
    """Make a file that nobody serves."""
    ledger = SqliteLedger(path)
    ledger.open()
    for start in range(0, len(kept), 200):
        ledger.commit(kept[start : start + 200])
    ledger.close()


@pytest.fixture
def audit(path: Path, stored: None) -> Iterator[Audit]:
    """Open the file while the ledger goes on serving it."""
    assert stored is None
    with Audit(path) as opened:
        yield opened


def change(path: Path, statement: str, *parameters: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, parameters)


def test_a_file_of_ours_has_no_fault(audit: Audit) -> None:
    assert audit.journal_mode() == "wal"
    assert audit.damage(deep=False) == audit.damage(deep=True) == []
    assert audit.schema_version() == newest_version() == "0001"
    assert audit.schema_faults() == []
    assert audit.orphans() == {"duplicate": 0, "conflict": 0}
    assert audit.repeated_keys() == 0
    assert audit.repeated_request_ids() == 0


def test_every_row_is_counted_under_its_outcome(audit: Audit) -> None:
    counts = audit.counts(ALL)
    assert {outcome: found.rows for outcome, found in counts.items()} == {
        "stored": 2,
        "duplicate": 1,
        "conflict": 1,
        "invalid_value": 1,
    }
    assert counts["stored"] == Counts(rows=2, own=2, foreign=0, future=0, last_day=2)
    assert of_table("rejected_postback", counts).rows == 2
    assert of_table("duplicate", {}).rows == 0
    assert unknown_outcomes(counts) == []


def test_rows_of_another_process_are_foreign_if_they_came_after_this_one_started(audit: Audit) -> None:
    assert audit.counts(Window("a" * 16, STARTED, NOW))["stored"] == Counts(2, 0, 2, 0, 2)
    assert audit.counts(Window("a" * 16, NOW, NOW))["stored"] == Counts(2, 0, 0, 0, 2)


def test_without_a_process_no_row_is_anybodys(audit: Audit) -> None:
    assert audit.counts(Window("", NOW, NOW))["stored"].own == 0


def test_rows_from_after_now_are_from_the_future(audit: Audit) -> None:
    earlier = builders.RECEIVED_AT - timedelta(microseconds=1)
    assert audit.counts(Window(OWN, STARTED, earlier))["stored"].future == 2
    assert audit.counts(Window(OWN, STARTED, builders.RECEIVED_AT))["stored"].future == 0


def test_the_last_day_ends_a_day_ago(audit: Audit) -> None:
    tomorrow = builders.RECEIVED_AT + timedelta(days=1)
    assert audit.counts(Window(OWN, STARTED, tomorrow))["stored"].last_day == 0


def test_a_pinned_audit_does_not_see_what_is_written_later(audit: Audit, ledger: SqliteLedger) -> None:
    audit.pin()
    ledger.commit([builders.postback("c=later&value=1")])
    assert audit.counts(ALL)["stored"].rows == 2


@pytest.mark.usefixtures("stored")
def test_a_reading_audit_does_not_keep_the_service_from_writing(path: Path, ledger: SqliteLedger) -> None:
    with Audit(path) as audit:
        audit.pin()
        assert ledger.commit([builders.postback("c=later&value=1")]).rows["conversion"] == 1


@pytest.mark.usefixtures("ledger")
def test_the_audit_cannot_write(path: Path) -> None:
    with Audit(path) as audit, pytest.raises(StorageError, match="SQLITE_READONLY"):
        audit._rows("DELETE FROM conversion")  # noqa: SLF001 - the property is the connection's


def test_a_duplicate_or_conflict_whose_conversion_is_gone_is_an_orphan(audit: Audit, path: Path) -> None:
    change(path, "DELETE FROM conversion WHERE click_id = 'a'")
    assert audit.orphans() == {"duplicate": 1, "conflict": 1}


def test_a_duplicate_of_another_goal_is_an_orphan(audit: Audit, path: Path) -> None:
    change(path, "UPDATE duplicate SET goal = 'other'")
    assert audit.orphans() == {"duplicate": 1, "conflict": 0}


def test_one_request_id_in_two_tables_is_found(audit: Audit, path: Path) -> None:
    change(path, "UPDATE duplicate SET request_id = (SELECT min(request_id) FROM conversion)")
    assert audit.repeated_request_ids() == 1


def test_a_word_that_is_no_kept_outcome_is_found(audit: Audit, path: Path) -> None:
    change(path, "UPDATE rejected_postback SET outcome = 'lost' WHERE outcome = 'conflict'")
    assert unknown_outcomes(audit.counts(ALL)) == ["lost"]
    change(path, "UPDATE rejected_postback SET outcome = 'overloaded' WHERE outcome = 'lost'")
    assert unknown_outcomes(audit.counts(ALL)) == ["overloaded"]


def test_a_table_without_its_key_is_found_and_so_are_keys_that_came_twice(audit: Audit, path: Path) -> None:
    change(path, "CREATE TABLE copy AS SELECT * FROM conversion")
    change(path, "INSERT INTO copy SELECT * FROM conversion WHERE click_id = 'a'")
    change(path, "DROP TABLE conversion")
    change(path, "ALTER TABLE copy RENAME TO conversion")
    assert audit.schema_faults() == ["conversion differs in click_id, goal, is_test, sender, transaction_id"]
    assert audit.repeated_keys() == 1


def test_a_missing_table_and_an_added_column_are_found(audit: Audit, path: Path) -> None:
    change(path, "DROP TABLE write_probe")
    change(path, "ALTER TABLE duplicate ADD COLUMN note")
    assert sorted(audit.schema_faults()) == ["duplicate differs in note", "there is no table write_probe"]


def test_a_file_that_was_never_migrated_has_no_version(tmp_path: Path) -> None:
    change(tmp_path / "other.db", "CREATE TABLE conversion (a)")
    with Audit(tmp_path / "other.db") as audit:
        assert audit.schema_version() == ""


def test_when_readiness_wrote_is_told(audit: Audit, ledger: SqliteLedger) -> None:
    assert audit.probed_at() is None
    ledger.commit([Probe(builders.RECEIVED_AT)])
    assert audit.probed_at() == "2026-01-02 03:04:05.678901"


def test_a_kept_rejection_is_found_by_its_request_id(audit: Audit, ledger: SqliteLedger) -> None:
    rejected = builders.rejection()
    assert not audit.holds(rejected.raw.request_id)
    ledger.commit([rejected])
    assert audit.holds(rejected.raw.request_id)


def test_a_damaged_page_is_found(path: Path) -> None:
    close_with(path, [builders.postback(f"c={number}&value=1") for number in range(200)])
    with path.open("r+b") as file:
        file.seek(-3000, 2)
        file.write(b"\xff" * 2000)
    with Audit(path) as audit:
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
    with Audit(path) as audit:
        assert bool(audit.damage(deep=deep)) is deep


def test_a_question_that_takes_too_long_is_not_answered(path: Path) -> None:
    close_with(path, [builders.postback(f"c={number}&value=1") for number in range(2000)])
    with Audit(path, seconds=0) as audit, pytest.raises(StorageError) as raised:
        audit.counts(ALL)
    assert raised.value.kind == INTERRUPTED


def test_no_file_is_said_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised, Audit(tmp_path / "none.db"):
        pass
    assert raised.value.kind == NO_DATABASE
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"long enough to be read as a header" * 99)
    with pytest.raises(StorageBroken, match="SQLITE_NOTADB"), Audit(tmp_path / "text.db") as audit:
        audit.journal_mode()


@pytest.mark.parametrize("name", ["a b#c?d%20.db", "ü.db"])
def test_a_name_that_means_something_in_a_url_is_no_trouble(tmp_path: Path, name: str) -> None:
    change(tmp_path / name, "CREATE TABLE conversion (a)")
    with Audit(tmp_path / name) as audit:
        assert audit.journal_mode() == "delete"


def test_moments_are_compared_in_the_form_that_the_tables_hold(audit: Audit, ledger: SqliteLedger) -> None:
    whole_second = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)  # isoformat would leave its fraction out, and sort it lower
    ledger.commit([builders.postback("c=whole&value=1", received_at=whole_second)])
    assert audit.counts(Window("", whole_second, NOW))["stored"].foreign == 0
    assert audit.counts(Window("", whole_second - timedelta(microseconds=1), NOW))["stored"].foreign == 1
