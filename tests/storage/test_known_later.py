"""A value that was sent under a name that was not known then: its retry today is a duplicate, on any engine."""

from dataclasses import replace

import pytest

from service.core.parsing import parse
from service.core.postback import Postback
from service.core.presets import PRESETS
from service.core.sender import Sender
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine

KEITARO = PRESETS["keitaro"]
BEFORE = replace(KEITARO, fields={name: field for name, field in KEITARO.fields.items() if name != "revenue"})


def outcomes(ledger: Ledger, *postbacks: Postback) -> list[str]:
    return [verdict.outcome.value for verdict in ledger.commit(postbacks).verdicts]


def sent(query: str, sender: Sender = KEITARO) -> Postback:
    return parse(builders.raw(query), sender)


@pytest.mark.parametrize(
    ("before", "today", "outcome"),
    [
        ("subid=a&revenue=10&status=sale", "subid=a&revenue=10&status=sale", "duplicate"),
        ("subid=a&revenue=10", "revenue=10&subid=a", "duplicate"),
        ("subid=a&payout=&revenue=10&x=y", "subid=a&payout=&revenue=10&x=y", "duplicate"),
        ("subid=a&revenue=10&status=lead", "subid=a&revenue=10&status=sale", "updated"),
        ("subid=a&revenue=10&status=sale", "subid=a&revenue=11&status=sale", "conflict"),
        ("subid=a&revenue=10", "subid=a&payout=11", "conflict"),
        ("subid=a&sub1=10", "subid=a&sub1=10&payout=10", "conflict"),
        ("subid=a&payout=5&revenue=10", "subid=a&payout=5&revenue=10", "duplicate"),
        ("subid=a", "subid=a&revenue=10", "conflict"),
        ("subid=a&quantity=2", "subid=a&payout=2", "conflict"),
        ("subid=a&quantity=2", "subid=a&payout=2&sub1=2", "conflict"),
        ("subid=a&revenue=2&quantity=2", "subid=a&payout=2", "conflict"),
        ("subid=a&sub1=2", "subid=a&payout=2&status=sale", "updated"),
    ],
)
def test_the_same_parameters_again_are_a_duplicate(ledger: Ledger, before: str, today: str, outcome: str) -> None:
    assert outcomes(ledger, sent(before, BEFORE)) == ["stored"]
    assert outcomes(ledger, sent(today), sent(today)) == [outcome, "duplicate" if outcome == "updated" else outcome]


def test_in_one_commit_as_well(engine: Engine, ledger: Ledger) -> None:
    both = sent("subid=a&revenue=10", BEFORE), sent("subid=a&revenue=10")
    assert outcomes(ledger, *both) == ["stored", "duplicate"]
    assert engine.rows("SELECT value FROM conversion") == [("",)]


def test_reads_of_what_is_stored_know_it_as_well(engine: Engine, ledger: Ledger) -> None:
    first = sent("subid=a&revenue=10", BEFORE)
    outcomes(ledger, first)
    again = sent("subid=a&revenue=10")
    assert engine.database.history().winners([again])[again.key].said_otherwise(again)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("subid=a&payout=836.9999999999998", "subid=a&payout=836.9999999999998"),
        ("subid=a&payout=836.9999999999998", "subid=a&payout=837.000000"),
        ("subid=a&payout=1&currency=USD", "subid=a&payout=1&currency=usd"),
        ("subid=a&payout=1&currency=usd", "subid=a&payout=1.0&currency=USD"),
        ("subid=a&payout=.40", "subid=a&payout=0.4"),
        ("subid=a&payout=-0", "subid=a&revenue=0"),
        ("subid=a&payout=1e2", "subid=a&payout=100"),
        ("subid=a&payout=5&revenue=10", "subid=a&payout=5"),
    ],
)
def test_the_same_amount_written_otherwise_is_a_duplicate(ledger: Ledger, first: str, again: str) -> None:
    assert outcomes(ledger, sent(first)) == ["stored"]
    assert outcomes(ledger, sent(again)) == ["duplicate"]
