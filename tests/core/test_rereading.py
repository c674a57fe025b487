"""Rereading: what is kept of a stored row, judged by today's rules, with the right reading for each; the key stays."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Postback
from service.core.presets import EZMOB, PRESETS
from service.core.rereading import OTHER_KEY, History, Kept, Reread, reread
from service.core.sender import Field, Sender
from service.core.verdict import Correction, Winner, judge_against
from tests.support import builders

FIELDS: Mapping[str, Field] = {
    "subid": "click_id",
    "payout": "value",
    "currency": "currency",
    "tid": "transaction_id",
    "status": "conversion_status",
}
THEN = Sender("acme", FIELDS, frozenset({"click_id"}), statuses={"sale": "approved", "lead": "pending"})
REVENUE = replace(THEN, fields={**FIELDS, "revenue": "value"})


def stored(query: str, *later: str, sender: Sender = THEN) -> History:
    """Return what is stored of a conversion that was sent so, and changed so."""
    first, *changes = [parse(builders.raw(sent), sender) for sent in (query, *later)]
    winner = Winner.first(first)
    for change in changes:
        winner = winner.changed_by(change)
    return History(first.key, winner, [kept(one) for one in (first, *changes)])


def kept(postback: Postback) -> Kept:
    """Return what is kept of a postback beside what it says."""
    return Kept(postback.params, postback.raw.received_at, postback.raw.request_id)


def corrected(history: History, today: Sender) -> History:
    """Return it after it was read again."""
    return replace(history, winner=reread(history, today).after(history.winner))


def value(
    micros: int, text: str, currency: str | None = None, status: str | None = None, number: int = 0
) -> Correction:
    """Return a first correction."""
    return Correction(number, 1, status, text, micros, currency)


@pytest.mark.parametrize(
    ("query", "today", "correction", "why"),
    [
        ("subid=a&revenue=10&status=sale", REVENUE, value(10_000_000, "10", None, "approved"), "value 0 → revenue"),
        ("subid=a&revenue=10&currency=USD", REVENUE, value(10_000_000, "10", "USD"), "value 0 → revenue"),
        ("subid=a&revenue=-1.5", REVENUE, value(-1_500_000, "-1.5"), "value 0 → revenue"),
        ("subid=a&revenue=2&revenue_usd=2", REVENUE, value(2_000_000, "2"), "value 0 → revenue"),
        (
            "subid=a&payout=5&status=unheard",
            replace(THEN, statuses={**THEN.statuses, "unheard": "pending"}),
            value(5_000_000, "5", None, "pending"),
            "status (none) → pending",
        ),
        (
            "subid=a&payout=1.50&cur=EUR",
            replace(THEN, fields={**FIELDS, "cur": "currency"}),
            value(1_500_000, "1.50", "EUR"),
            "currency (none) → EUR",
        ),
        (
            "subid=a&payout=150",
            replace(THEN, numbers="cents"),
            value(1_500_000, "150"),
            "value → read by today's rules",
        ),
        (
            "subid=a&payout=1&state=sale",
            replace(THEN, fields={**FIELDS, "state": "conversion_status"}),
            value(1_000_000, "1", None, "approved"),
            "status (none) → approved",
        ),
    ],
)
def test_what_today_reads_otherwise_is_corrected(query: str, today: Sender, correction: Correction, why: str) -> None:
    assert reread(stored(query), today) == Reread((correction,), (why,))


@pytest.mark.parametrize(
    ("query", "today"),
    [
        ("subid=a&payout=5&revenue=5", THEN),
        ("subid=a&payout=1.50&currency=USD&tid=t&status=sale&x=1&x=2", REVENUE),
        ("subid=a", REVENUE),
        ("subid=a&revenue=0", REVENUE),
        ("subid=a&payout=1&status=sale", replace(THEN, statuses={"sale": "pending"})),  # the word is not kept
        ("subid=a&payout=1&status=lead", replace(THEN, statuses={})),
        ("subid=a&payout=1&currency=USD", replace(THEN, fields={"subid": "click_id", "sum": "value"})),  # nor the name
        ("subid=a&payout=1", replace(THEN, fields={"subid": "click_id"})),  # it can send no value any more
        ("subid=a&tid=t&payout=1", replace(THEN, duplicates="sum")),
        ("subid=a&payout=1&currency=usd", THEN),  # counted as USD, kept as sent
        ("subid=a&payout=1&currency=usd", replace(THEN, fields={**FIELDS, "cur": "currency"})),
        ("subid=a&payout=1&currency=USD&cur=EUR", replace(THEN, fields={**FIELDS, "cur": "currency"})),
        ("subid=a&payout=1&currency=EUR", replace(THEN, implied_currencies={"payout": "USD"})),  # by which name?
        ("subid=a&payout=1&status=unheard", THEN),
        ("subid=a&payout=12.5", replace(THEN, numbers="comma")),  # as a number of JSON is kept
        ("subid=a&payout=12.5&x=1", replace(THEN, numbers="comma", required=frozenset({"click_id", "value"}))),
    ],
)
def test_what_today_reads_alike_is_left(query: str, today: Sender) -> None:
    assert reread(stored(query), today) == Reread()


@pytest.mark.parametrize(
    ("query", "today", "left"),
    [
        ("subid=a&revenue=10,5", REVENUE, Outcome.INVALID_VALUE.value),
        ("subid=a&payout=1.50", replace(THEN, numbers="cents"), Outcome.INVALID_VALUE.value),
        ("subid=a", replace(THEN, required=frozenset({"click_id", "value"})), Outcome.MISSING_VALUE.value),
        (
            "subid=a&revenue=1&order=7",
            replace(REVENUE, fields={**REVENUE.fields, "order": "transaction_id"}),
            OTHER_KEY,
        ),
        ("subid=a&revenue=1&g=buy", replace(REVENUE, fields={**REVENUE.fields, "g": "goal"}), OTHER_KEY),
        ("subid=a&revenue=1&tid=7", replace(REVENUE, duplicates="click"), OTHER_KEY),
        ("subid=a&revenue=1", replace(REVENUE, name="beta"), OTHER_KEY),
    ],
)
def test_what_would_be_rejected_or_another_conversion_today_is_left(query: str, today: Sender, left: str) -> None:
    found = reread(stored(query), today)
    assert (found.corrections, found.left) == ((), left)
    assert (found.key not in (None, stored(query).key)) is (left == OTHER_KEY)


def test_each_change_is_read_by_itself_and_one_without_a_value_stays_without() -> None:
    history = stored("subid=a&revenue=1&status=lead", "subid=a&revenue=2&status=sale")
    assert reread(history, REVENUE).corrections == (
        value(1_000_000, "1", None, "pending"),
        value(2_000_000, "2", None, "approved", number=1),
    )
    history = stored("subid=a&revenue=1&status=lead", "subid=a&status=sale")
    today = replace(REVENUE, required=frozenset({"click_id", "value"}))
    assert reread(history, today).corrections == (value(1_000_000, "1", None, "pending"),)
    now = corrected(history, today).winner
    assert (now.worth.value_micros, now.statuses[-1]) == (1_000_000, "approved")


def test_done_again_there_is_nothing_to_do_and_other_rules_correct_once_more() -> None:
    history = corrected(stored("subid=a&revenue=10"), REVENUE)
    assert reread(history, REVENUE) == Reread()
    again = reread(history, replace(REVENUE, numbers="cents"))
    assert again.corrections == (Correction(0, 2, None, "10", 100_000, None),)
    assert again.after(history.winner).worth.value_micros == 100_000


@pytest.mark.parametrize(
    ("query", "rules", "outcome"),
    [
        ("subid=a&revenue=10", REVENUE, Outcome.DUPLICATE),  # what was sent, as it is read today
        ("subid=a&revenue=10", THEN, Outcome.DUPLICATE),  # and as it was read then
        ("subid=a&payout=10.00", THEN, Outcome.DUPLICATE),  # what it is worth now
        ("subid=a&payout=0", THEN, Outcome.DUPLICATE),  # what it was worth at first
        ("subid=a&revenue=11", REVENUE, Outcome.CONFLICT),
        ("subid=a&revenue=10&status=sale", REVENUE, Outcome.UPDATED),
    ],
)
def test_what_comes_later_is_judged_by_what_was_read_at_first_and_by_what_is_read_now(
    query: str, rules: Sender, outcome: Outcome
) -> None:
    winner = corrected(stored("subid=a&revenue=10"), REVENUE).winner
    verdict = judge_against(winner, parse(builders.raw(query), rules))
    assert verdict.outcome is outcome
    if outcome is Outcome.CONFLICT:
        assert verdict.detail == "stored 10 (no currency), received 11 (no currency)"


def test_a_status_that_is_read_now_decides_what_may_follow() -> None:
    history = stored("subid=a&payout=1&state=sale")
    today = replace(THEN, fields={**FIELDS, "state": "conversion_status"})
    winner = corrected(history, today).winner
    assert winner.statuses[-1] == "approved"
    assert judge_against(winner, parse(builders.raw("subid=a&payout=1&status=sale"), THEN)).outcome is Outcome.DUPLICATE
    refused = judge_against(winner, parse(builders.raw("subid=a&payout=1&status=lead"), THEN))
    assert refused.outcome is Outcome.ILLEGAL_TRANSITION


@pytest.mark.parametrize(
    "query",
    [
        "c=a&value=1.50",
        "c=a&value=1&currency=EUR&goal=g&txid=t&x=1&x=2",
        "c=%C3%BC&value=-0.000001&conversion_status=lead",
    ],
)
def test_by_the_rules_by_which_it_was_stored_nothing_differs(query: str) -> None:
    assert reread(stored(query, sender=EZMOB), EZMOB) == Reread()


def test_keitaros_zeros_are_put_right() -> None:
    """Until version 0008 the preset knew `payout` alone, and Keitaro documents `payout` or `revenue`."""
    names: dict[str, Field] = {
        "subid": "click_id",
        "payout": "value",
        "currency": "currency",
        "status": "conversion_status",
    }
    then = Sender("keitaro", names, frozenset({"click_id"}))
    history = stored("subid=k1&revenue=10&currency=USD&status=sale", sender=then)
    today = reread(history, PRESETS["keitaro"])
    assert today == Reread((value(10_000_000, "10", "USD", "approved"),), ("value 0 → revenue",))
    again = parse(builders.raw("subid=k1&revenue=10&currency=USD&status=sale"), PRESETS["keitaro"])
    assert judge_against(today.after(history.winner), again).outcome is Outcome.DUPLICATE
