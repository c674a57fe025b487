"""What an audit finds in rows that must fit each other, on every engine, and what it is not to be alarmed by."""

from datetime import timedelta

import pytest

from service.core.outcome import Outcome
from service.storage.audit_histories import (
    Broken,
    broken_histories,
    marked_as_tests,
    refused_and_stored,
    reversed_order,
)
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine

LIFE = ("pending", "approved", "refunded")
APPEALED = ("pending", "rejected", "approved")
FIRST = "UPDATE conversion SET received_at = '2026-01-02 03:10:00.000000'"  # five minutes and a bit after the others


def live(ledger: Ledger, *statuses: str, **changes: object) -> None:
    """Commit one postback of a click id for each status; an empty one is none."""
    for status in statuses:
        told = f"&conversion_status={status}" if status else ""
        ledger.commit([builders.postback(f"c=a&value=1{told}", **changes)])


def found(engine: Engine) -> dict[str, tuple[int, int]]:
    """Return the numbers of reversed rows by outcome, where there are any: not drained, and drained."""
    with engine.database.audit() as audit:
        return {
            outcome: (one.rows, one.drained)
            for outcome, one in reversed_order(audit).items()
            if one.rows or one.drained
        }


def histories(engine: Engine) -> list[Broken]:
    with engine.database.audit() as audit:
        return broken_histories(audit)


@pytest.mark.parametrize(
    "life",
    [LIFE, ("", *LIFE), ("", "rejected"), ("pending", "rejected"), APPEALED, ("rejected", "approved", "refunded")],
)
def test_a_history_that_may_be_is_whole(engine: Engine, ledger: Ledger, life: tuple[str, ...]) -> None:
    live(ledger, *life)
    assert histories(engine) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("UPDATE status_change SET number = 7 WHERE number = 2", "numbers"),
        ("UPDATE status_change SET number = 0 WHERE number = 1", "numbers"),
        ("UPDATE status_change SET conversion_status = 'approved'", "repeated"),
        ("UPDATE conversion SET conversion_status = 'approved'", "repeated"),
        ("UPDATE conversion SET conversion_status = 'refunded'", "not allowed"),
        ("UPDATE status_change SET conversion_status = 'rejected' WHERE number = 1", "not allowed"),
        ("UPDATE status_change SET conversion_status = 'lost' WHERE number = 2", "not allowed"),
    ],
)
def test_a_history_that_may_not_be_is_told_with_one_of_its_changes(
    engine: Engine, ledger: Ledger, planted: str, fault: str
) -> None:
    live(ledger, *LIFE)
    engine.change(planted)
    (told,) = histories(engine)
    assert (told.fault, told.keys) == (fault, 1)
    assert engine.rows(f"SELECT 1 FROM status_change WHERE request_id = '{told.example}'")  # noqa: S608 - our own


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE conversion SET conversion_status = 'approved'",
        """INSERT INTO status_change SELECT sender, is_test, click_id, goal, transaction_id, 4, 'approved', value,
        value_micros, currency, params, received_at, 'another', door, drained_at FROM status_change WHERE number = 3""",
    ],
)
def test_what_was_approved_and_rejected_is_not_approved_again(engine: Engine, ledger: Ledger, planted: str) -> None:
    live(ledger, *APPEALED)
    ledger.commit([builders.postback("c=a&value=2&conversion_status=rejected")])
    assert histories(engine) == []
    engine.change(planted)
    (told,) = histories(engine)
    assert (told.fault, told.keys) == ("not allowed", 1)


def arrive(ledger: Ledger, **changes: object) -> None:
    """Commit a life, a repetition, a conflict, and a status that may not follow."""
    live(ledger, *LIFE, "refunded", **changes)
    ledger.commit([builders.postback("c=a&value=2", **changes)])
    ledger.commit([builders.postback("c=a&value=2&conversion_status=pending", **changes)])


ALL = {"updated": (2, 0), "duplicate": (1, 0), "conflict": (1, 0), "illegal_transition": (1, 0)}


@pytest.mark.parametrize(("seconds", "expected"), [(0, {}), (9, {}), (11, ALL)])
def test_what_came_a_margin_before_its_conversion_is_told(
    engine: Engine, ledger: Ledger, seconds: int, expected: dict[str, tuple[int, int]]
) -> None:
    arrive(ledger)
    moment = builders.RECEIVED_AT + timedelta(seconds=seconds)
    engine.change(f"UPDATE conversion SET received_at = '{moment.isoformat(' ')[:26]}'")  # noqa: S608 - our own
    assert found(engine) == expected


@pytest.mark.parametrize("door", ["import", "replay"])
def test_an_import_and_a_replay_bring_moments_of_their_own(engine: Engine, ledger: Ledger, door: str) -> None:
    arrive(ledger)
    engine.change(FIRST)
    assert found(engine) == ALL
    engine.change(f"UPDATE conversion SET door = '{door}'")  # noqa: S608 - our own
    assert found(engine) == {}
    engine.change("UPDATE conversion SET door = 'postback'")
    for table in ("status_change", "duplicate", "rejected_postback"):
        engine.change(f"UPDATE {table} SET door = '{door}'")  # noqa: S608 - our own
    assert found(engine) == {}


def test_the_rows_of_a_batch_may_wait_for_minutes(engine: Engine, ledger: Ledger) -> None:
    arrive(ledger, door="batch")
    engine.change("UPDATE conversion SET received_at = '2026-01-02 03:09:00.000000'")
    assert found(engine) == {}
    engine.change(FIRST)
    assert found(engine) == ALL


def test_what_one_of_both_waited_for_in_a_spool_is_told_apart(engine: Engine, ledger: Ledger) -> None:
    arrive(ledger)
    engine.change(FIRST)
    engine.change("UPDATE duplicate SET drained_at = received_at")
    assert found(engine) == ALL | {"duplicate": (0, 1)}
    engine.change("UPDATE conversion SET drained_at = received_at")
    assert found(engine) == {outcome: (0, sum(numbers)) for outcome, numbers in ALL.items()}


def test_a_change_is_compared_with_the_change_before_it(engine: Engine, ledger: Ledger) -> None:
    live(ledger, *LIFE)
    engine.change("UPDATE status_change SET received_at = '2026-01-02 03:05:05.000000' WHERE number = 1")
    assert found(engine) == {"updated": (1, 0)}


def test_a_conflict_of_another_goal_that_came_first_is_in_order(engine: Engine, ledger: Ledger) -> None:
    arrive(ledger)
    ledger.commit([builders.postback("c=a&goal=earlier&value=1")])
    engine.change(f"{FIRST} WHERE goal = ''")
    assert found(engine) == {"updated": (2, 0), "duplicate": (1, 0)}


def test_retention_may_have_taken_the_conversion_of_a_status_that_could_not_follow(
    engine: Engine, ledger: Ledger
) -> None:
    arrive(ledger)
    engine.change(FIRST)
    engine.change(
        """INSERT INTO deletion (run, table_name, reason, outcome, process, rows, deleted_by,
        first_received_at, last_received_at, deleted_at)
        SELECT 'r', 'conversion', 'age', 'stored', '', 1, 'retention', received_at, received_at, received_at
        FROM duplicate"""
    )
    assert found(engine) == {outcome: numbers for outcome, numbers in ALL.items() if outcome != "illegal_transition"}


@pytest.mark.parametrize(
    ("params", "number"),
    [
        ('{"test": "1"}', 1),
        ('{"test":["0","true"]}', 1),
        ('{"sub": "", "test": "true"}', 1),
        ('{"test": "True"}', 1),
        ('{"test": "YES"}', 1),
        ('{"test": "0"}', 0),
        ('{"test": ["0", "no"]}', 0),
        ('{"tested": "1", "note": "\\"test\\":\\"1\\""}', 0),
    ],
)
def test_kept_parameters_tell_of_a_test_that_counts(engine: Engine, ledger: Ledger, params: str, number: int) -> None:
    live(ledger, "pending", "approved")
    for table in ("conversion", "status_change"):
        engine.change(f"UPDATE {table} SET params = '{params}'")  # noqa: S608 - our own
    with engine.database.audit() as audit:
        assert len(marked_as_tests(audit)) == 2 * number
    engine.change("UPDATE conversion SET is_test = TRUE")
    with engine.database.audit() as audit:
        assert len(marked_as_tests(audit)) == number


def test_a_batch_is_refused_as_a_whole_or_has_rows(engine: Engine, ledger: Ledger) -> None:
    whole, other = "a" * 32, "b" * 32
    ledger.commit([builders.rejection(Outcome.MALFORMED_BODY, door="batch", request_id=whole)])
    ledger.commit([builders.postback(door="batch", request_id=f"{other}-1")])
    ledger.commit([builders.rejection(door="batch", request_id=f"{other}-2")])
    with engine.database.audit() as audit:
        assert refused_and_stored(audit) == []
    engine.change(f"UPDATE conversion SET request_id = '{whole}-1'")  # noqa: S608 - our own
    with engine.database.audit() as audit:
        assert refused_and_stored(audit) == [whole]
