"""The audit, on every engine: every row is accounted for, and each way in which the books can be wrong is found."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.core.outcome import Outcome
from service.core.verdict import Entry, Probe
from service.storage.audit import Audit, Counts, Window, of_table, unknown_outcomes
from service.storage.ledger import Ledger
from service.storage.migrations import newest_version
from tests.support import builders
from tests.support.engines import Engine

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
def stored(ledger: Ledger) -> None:
    """Keep them in a file that goes on being served."""
    for entry in entries():
        ledger.commit([entry])


@pytest.fixture
def audit(engine: Engine, stored: None) -> Iterator[Audit]:
    """Open the database while the ledger goes on serving it."""
    assert stored is None
    with engine.database.audit() as opened:
        yield opened


def test_a_database_of_ours_has_no_fault(audit: Audit) -> None:
    assert audit.schema_version() == newest_version()
    assert audit.schema_faults() == []
    assert audit.orphans() == {"updated": 0, "duplicate": 0, "conflict": 0, "correction": 0}
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


@pytest.mark.parametrize("door", ["import", "replay"])
def test_rows_that_bring_a_moment_of_their_own_are_not_foreign(engine: Engine, audit: Audit, door: str) -> None:
    engine.change(f"UPDATE conversion SET door = '{door}' WHERE click_id = 'a'")  # noqa: S608 - our own
    assert audit.counts(Window("a" * 16, STARTED, NOW))["stored"].foreign == 1


def test_without_a_process_no_row_is_anybodys(audit: Audit) -> None:
    assert audit.counts(Window("", NOW, NOW))["stored"].own == 0


def test_rows_from_after_now_are_from_the_future(audit: Audit) -> None:
    earlier = builders.RECEIVED_AT - timedelta(microseconds=1)
    assert audit.counts(Window(OWN, STARTED, earlier))["stored"].future == 2
    assert audit.counts(Window(OWN, STARTED, builders.RECEIVED_AT))["stored"].future == 0


def test_the_last_day_ends_a_day_ago(audit: Audit) -> None:
    tomorrow = builders.RECEIVED_AT + timedelta(days=1)
    assert audit.counts(Window(OWN, STARTED, tomorrow))["stored"].last_day == 0


def test_a_pinned_audit_does_not_see_what_is_written_later(audit: Audit, ledger: Ledger) -> None:
    audit.pin()
    ledger.commit([builders.postback("c=later&value=1")])
    assert audit.counts(ALL)["stored"].rows == 2


@pytest.mark.usefixtures("stored")
def test_a_reading_audit_does_not_keep_the_service_from_writing(engine: Engine, ledger: Ledger) -> None:
    with engine.database.audit() as audit:
        audit.pin()
        assert ledger.commit([builders.postback("c=later&value=1")]).rows["conversion"] == 1


def test_a_duplicate_or_conflict_whose_conversion_is_gone_is_an_orphan(audit: Audit, engine: Engine) -> None:
    engine.change("DELETE FROM conversion WHERE click_id = 'a'")
    assert audit.orphans() == {"updated": 0, "duplicate": 1, "conflict": 1, "correction": 0}


def test_a_duplicate_of_another_goal_is_an_orphan(audit: Audit, engine: Engine) -> None:
    engine.change("UPDATE duplicate SET goal = 'other'")
    assert audit.orphans() == {"updated": 0, "duplicate": 1, "conflict": 0, "correction": 0}


def test_one_request_id_in_two_tables_is_found(audit: Audit, engine: Engine) -> None:
    engine.change("UPDATE duplicate SET request_id = (SELECT min(request_id) FROM conversion)")
    assert audit.repeated_request_ids() == 1


def test_a_word_that_is_no_kept_outcome_is_found(audit: Audit, engine: Engine) -> None:
    engine.change("UPDATE rejected_postback SET outcome = 'lost' WHERE outcome = 'conflict'")
    assert unknown_outcomes(audit.counts(ALL)) == ["lost"]
    engine.change("UPDATE rejected_postback SET outcome = 'overloaded' WHERE outcome = 'lost'")
    assert unknown_outcomes(audit.counts(ALL)) == ["overloaded"]


def test_a_table_without_its_key_is_found_and_so_are_keys_that_came_twice(audit: Audit, engine: Engine) -> None:
    engine.change("CREATE TABLE copy AS SELECT * FROM conversion")
    engine.change("INSERT INTO copy SELECT * FROM conversion WHERE click_id = 'a'")
    engine.change("DROP TABLE conversion")
    engine.change("ALTER TABLE copy RENAME TO conversion")
    assert audit.schema_faults() == ["conversion differs in click_id, goal, is_test, sender, transaction_id"]
    assert audit.repeated_keys() == 1


def test_a_missing_table_and_an_added_column_are_found(audit: Audit, engine: Engine) -> None:
    engine.change("DROP TABLE write_probe")
    engine.change("ALTER TABLE duplicate ADD COLUMN note text")
    assert sorted(audit.schema_faults()) == ["duplicate differs in note", "there is no table write_probe"]


def test_when_readiness_wrote_is_told(audit: Audit, ledger: Ledger) -> None:
    assert audit.probed_at() is None
    ledger.commit([Probe(builders.RECEIVED_AT)])
    assert str(audit.probed_at()).startswith("2026-01-02 03:04:05.678901")


def test_a_kept_rejection_is_found_by_its_request_id(audit: Audit, ledger: Ledger) -> None:
    rejected = builders.rejection()
    assert not audit.holds(rejected.raw.request_id)
    ledger.commit([rejected])
    assert audit.holds(rejected.raw.request_id)


def test_moments_are_compared_in_the_form_that_the_tables_hold(audit: Audit, ledger: Ledger) -> None:
    whole_second = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)  # isoformat would leave its fraction out, and sort it lower
    ledger.commit([builders.postback("c=whole&value=1", received_at=whole_second)])
    assert audit.counts(Window("", whole_second, NOW))["stored"].foreign == 0
    assert audit.counts(Window("", whole_second - timedelta(microseconds=1), NOW))["stored"].foreign == 1
