"""Every engine's ledger: one verdict for each entry in order, first value wins, nothing lost, durable or an error."""

from datetime import UTC, datetime

import pytest

from service.core.batch import MAX_ATOMIC_ROWS
from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.core.verdict import Entry, Probe
from service.storage.ledger import MAX_BATCH, Ledger
from tests.support import builders
from tests.support.engines import Engine

_CONVERSIONS = """
    SELECT sender, is_test, click_id, goal, transaction_id, value, value_micros, currency, CAST(params AS text),
           received_at, request_id, door
    FROM conversion ORDER BY sender, is_test, click_id, goal, transaction_id
"""


def outcomes(ledger: Ledger, *entries: Entry) -> list[Outcome]:
    return [verdict.outcome for verdict in ledger.commit(entries).verdicts]


def test_a_conversion_is_stored_as_it_was_sent(ledger: Ledger, engine: Engine) -> None:
    sent = builders.postback("c=cl%C3%AFck&value=1.50&currency=EUR&goal=sale&txid=t1&x=1&x=2")
    assert outcomes(ledger, sent) == [Outcome.STORED]
    key = ("ezmob", 0, "clïck", "sale", "t1")
    value = ("1.50", 1_500_000, "EUR", '{"x":["1","2"]}')
    arrival = ("2026-01-02 03:04:05.678901", sent.raw.request_id, "postback")
    assert engine.rows(_CONVERSIONS) == [(*key, *value, *arrival)]


def test_a_repeated_key_with_the_same_value_is_a_duplicate_and_changes_nothing(ledger: Ledger, engine: Engine) -> None:
    ledger.commit([builders.postback("c=a&value=1.5&x=first")])
    before = engine.rows(_CONVERSIONS)
    again = builders.postback("c=a&value=1.50&x=second")
    assert outcomes(ledger, again) == [Outcome.DUPLICATE]
    assert engine.rows(_CONVERSIONS) == before
    assert engine.rows("SELECT click_id, request_id FROM duplicate") == [("a", again.raw.request_id)]


@pytest.mark.parametrize("later", ["c=a&value=2", "c=a&value=1&currency=USD"])
def test_a_repeated_key_with_another_value_is_a_conflict_and_both_are_kept(
    ledger: Ledger, engine: Engine, later: str
) -> None:
    ledger.commit([builders.postback("c=a&value=1")])
    second = builders.postback(later)
    assert outcomes(ledger, second) == [Outcome.CONFLICT]
    assert engine.rows("SELECT value, currency FROM conversion") == [("1", None)]
    kept = engine.rows("SELECT outcome, click_id, raw, request_id FROM rejected_postback")
    assert kept == [("conflict", "a", b"GET /postback?" + later.encode(), second.raw.request_id)]


@pytest.mark.parametrize("other", ["c=b&value=1", "c=A&value=1", "c=a&value=1&goal=g", "c=a&value=1&txid=t"])
def test_any_part_of_the_key_makes_another_conversion(ledger: Ledger, other: str) -> None:
    assert outcomes(ledger, builders.postback("c=a&value=1"), builders.postback(other)) == [Outcome.STORED] * 2


def test_twins_in_one_batch_are_judged_in_order(ledger: Ledger) -> None:
    batch = [builders.postback(query) for query in ("c=a&value=1", "c=a&value=1", "c=a&value=2", "c=b&value=1")]
    assert outcomes(ledger, *batch) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.STORED]


def test_everything_at_once_gets_its_verdict_in_order(ledger: Ledger, engine: Engine) -> None:
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
    assert engine.rows("SELECT count(*) FROM conversion") == [(2,)]
    assert engine.rows("SELECT outcome FROM rejected_postback ORDER BY id") == [("unexpanded_macro",), ("conflict",)]
    assert engine.rows("SELECT probed_at FROM write_probe") == [("2026-01-01 00:00:00.000000",)]


def test_the_same_entry_committed_twice_is_still_one_conversion(ledger: Ledger) -> None:
    sent = builders.postback()
    assert outcomes(ledger, sent, sent) == [Outcome.STORED] * 2  # its own request_id won: an ambiguous commit retried


@pytest.mark.parametrize("size", [1, 2, MAX_BATCH, MAX_ATOMIC_ROWS])
def test_a_batch_of_any_size_is_stored_whole(ledger: Ledger, engine: Engine, size: int) -> None:
    batch = [builders.postback(f"c=click-{number}&value=1") for number in range(size)]
    assert outcomes(ledger, *batch) == [Outcome.STORED] * size
    assert engine.rows("SELECT count(*) FROM conversion") == [(size,)]


def test_a_batch_of_any_size_is_one_transaction(ledger: Ledger, engine: Engine) -> None:
    batch = [builders.postback(f"c=click-{number}&value=1") for number in range(MAX_ATOMIC_ROWS)]
    batch[-1] = batch[-1]._replace(click_id="z", value_micros=2**63)  # no column takes it, and it is the last by key
    with pytest.raises((StorageError, OverflowError)):
        ledger.commit(batch)
    assert engine.rows("SELECT count(*) FROM conversion") == [(0,)]
    assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


def test_a_batch_of_rejections_only_is_kept(ledger: Ledger, engine: Engine) -> None:
    assert outcomes(ledger, *[builders.rejection() for _ in range(3)]) == [Outcome.INVALID_VALUE] * 3
    assert engine.rows("SELECT count(*) FROM rejected_postback") == [(3,)]


def test_a_failed_second_half_fails_the_whole_batch(ledger: Ledger, engine: Engine) -> None:
    engine.change("DROP TABLE rejected_postback")
    with pytest.raises(StorageError):
        ledger.commit([builders.postback(), builders.rejection()])
    assert outcomes(ledger, builders.postback("c=next&value=1")) == [Outcome.STORED]  # no transaction was left open
