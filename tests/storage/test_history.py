"""The history: what a person is told of a click id is what happened, in order."""

import pytest

from service.core.outcome import Outcome
from service.core.postback import Postback, Rejection
from service.storage.ledger import Ledger
from service.storage.reads.history import History
from tests.support import builders
from tests.support.engines import Engine


@pytest.fixture
def history(ledger: Ledger, engine: Engine) -> History:
    assert ledger  # the database is being served while it is read
    return engine.database.history()


def test_a_click_id_that_never_came_has_no_history(history: History) -> None:
    assert history.arrivals("nobody") == []


def test_every_arrival_is_told_in_order_with_the_answer_it_got(ledger: Ledger, history: History) -> None:
    entries: list[Postback | Rejection] = [
        builders.rejection(Outcome.INVALID_VALUE, "a"),
        builders.postback("c=a&value=1&goal=sale"),
        builders.postback("c=a&value=1&goal=sale"),
        builders.postback("c=a&value=2&goal=sale"),
        builders.postback("c=b&value=1"),
    ]
    for entry in entries:
        ledger.commit([entry])
    told = [(arrival.outcome.value, arrival.request_id, arrival.detail) for arrival in history.arrivals("a")]
    ids = [entry.raw.request_id for entry in entries]
    assert told == [
        ("invalid_value", ids[0], "'x' is not an amount"),
        ("stored", ids[1], "value 1 (no currency), goal sale"),
        ("duplicate", ids[2], "same value as stored, goal sale"),
        ("conflict", ids[3], "stored 1 (no currency), received 2 (no currency)"),
    ]
    assert history.arrivals("a")[1].received_at == builders.RECEIVED_AT


def test_conversions_are_found_whatever_their_sender(ledger: Ledger, history: History) -> None:
    senders = ["ezmob", "another", "zeta"]
    ledger.commit([builders.postback("c=a&value=1")._replace(sender=sender) for sender in senders])
    assert sorted(arrival.sender or "" for arrival in history.arrivals("a")) == sorted(senders)
