"""Owns the proof that the model's check can fail: histories that are fine, and of every violation one that it finds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.support.outside.model.checking import Check
from tests.support.outside.model.history import Erasure, History, Operation, Row
from tests.support.outside.model.rules import NEVER, Conversion, Key, Said, judge, key_of
from tests.support.outside.model.telling import tell

pytestmark = pytest.mark.system

KEY = Key("acme", False, "click", "", "")  # noqa: FBT003 - a tuple's member
TABLES = {"stored": "conversion", "updated": "status_change", "duplicate": "duplicate"}
Event = tuple[Operation, Row | None]


def said(words: str) -> Said:
    """Return what `approved 5 USD` says; `-` is what was not sent."""
    status, amount, currency = [*words.split(), "-", "-"][:3]
    return Said(status if status != "-" else None, None if amount == "-" else Decimal(amount), _or_none(currency))


def _or_none(word: str) -> str | None:
    return None if word == "-" else word


def sent(  # noqa: PLR0913 - a builder: each test names what it is about
    at: float,
    words: str,
    answer: str | None,
    *,
    row: str | None = "as answered",
    number: int = 0,
    tag: str = "",
    group: str = "",
    place: int = 0,
    answered: float | None = None,
) -> Event:
    """Return a postback of the key, sent at `at` and answered half a second later, and the row that is found of it."""
    name = tag or f"{at:g} {words}"
    until = answered if answered is not None else float("inf") if answer is None else at + 0.5
    identity = f"id-{name}" if answer else ""
    one = Operation(name, KEY, said(words), "postback", at, until, answer, identity, "host", group, place)
    outcome = answer if row == "as answered" else row
    if outcome is None:
        return one, None
    known = outcome in ("stored", "updated")
    table = TABLES.get(outcome, "rejected_postback")
    number = number or int(outcome == "updated")
    tagged = name if outcome != "duplicate" else ""
    return one, Row(table, f"id-{name}", outcome, KEY, "postback", at, tagged, one.said if known else None, number)


def erased(at: float, *, surely: bool = True) -> Erasure:
    return Erasure("click", at, at + 0.5 if surely else float("inf"), surely, at + 0.3 if surely else None)


def found(*events: Event, erasures: tuple[Erasure, ...] = (), further: tuple[Row, ...] = ()) -> list[str]:
    """Return the kinds of differences in a history."""
    rows = [row for _, row in events if row]
    history = History([replace(one) for one, _ in events], list(erasures))
    differences = Check(history, [*rows, *further]).differences()
    assert not differences or "key Key" in tell(differences)
    return [difference.kind for difference in differences]


FINE: dict[str, tuple[tuple[Event, ...], tuple[Erasure, ...]]] = {
    "nothing": ((), ()),
    "each rule of the page": (
        (
            sent(1, "pending 5", "stored"),
            sent(2, "pending 5", "duplicate"),
            sent(3, "- 5", "duplicate"),
            sent(4, "- 7", "conflict"),
            sent(5, "pending 7", "conflict"),
            sent(6, "refunded 5", "illegal_transition"),
            sent(7, "approved -", "updated"),
            sent(8, "approved 7", "conflict"),
            sent(9, "refunded 7", "updated", number=2),
            sent(10, "- 7", "duplicate"),
            sent(11, "approved 5", "duplicate"),
        ),
        (),
    ),
    "two at once, the later one first": (
        (sent(1, "- 5", "conflict", answered=3), sent(2, "- 7", "stored", answered=2.5)),
        (),
    ),
    "a failure that happened": (
        (sent(1, "- 5", "storage_unavailable", row="stored"), sent(2, "- 5", "duplicate")),
        (),
    ),
    "a failure that did not": (
        (sent(1, "- 5", "storage_unavailable", row=None), sent(2, "- 7", "stored")),
        (),
    ),
    "nobody told, and a duplicate without a name": (
        (sent(1, "- 5", "stored"), sent(2, "- 5", None, row="duplicate")),
        (),
    ),
    "spooled, and judged later than what another host stored": (
        (sent(1, "- 5", "spooled", row="conflict"), (sent(2, "- 7", "stored"))),
        (),
    ),
    "erased, and stored anew": (
        (sent(1, "- 5", "stored", row=None), sent(2, "- 5", "duplicate", row=None), sent(4, "- 7", "stored")),
        (erased(3),),
    ),
    "erased what nobody was told of": (
        (sent(1, "- 5", None, row=None), sent(2, "- 7", "conflict", row=None)),
        (erased(3),),
    ),
    "spooled, and erased before it was drained": (
        (sent(1, "- 5", "spooled", row=None), sent(4, "- 7", "stored")),
        (erased(3),),
    ),
    "perhaps erased": (
        (sent(1, "- 5", "stored"), sent(4, "- 5", "duplicate")),
        (erased(3, surely=False),),
    ),
}


def other_host(event: Event) -> Event:
    one, row = event
    return replace(one, host="another"), row


@pytest.mark.parametrize("name", FINE)
def test_a_history_that_is_fine_has_no_difference(name: str) -> None:
    events, erasures = FINE[name]
    if "another host" in name:
        events = (*events[:-1], other_host(events[-1]))
    assert found(*events, erasures=erasures) == []


def test_a_lost_row_is_found() -> None:
    assert found(sent(1, "- 5", "stored", row=None)) == ["lost"]
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", "duplicate", row=None)) == ["lost"]
    assert found(sent(1, "- 5", "spooled", row=None)) == ["lost"]


def test_what_was_lost_before_an_erasure_and_what_was_lost_after_it_are_told_apart() -> None:
    before, after = sent(1, "- 5", "stored", row=None), sent(3, "- 5", "stored", row=None)
    assert found(before, erasures=(erased(2),)) == []
    assert found(after, erasures=(erased(2),)) == ["lost"]


def test_a_request_id_with_two_rows_is_found() -> None:
    event = sent(1, "- 5", "stored", tag="a")
    assert "doubled" in found(event, further=(Row("duplicate", "id-a", "duplicate", KEY, "postback", 1),))


def test_a_row_that_nobody_sent_is_found() -> None:
    row = Row("duplicate", "id-b", "duplicate", KEY, "postback", 1)
    assert found(sent(1, "- 5", "stored"), further=(row,)) == ["nobody's"]


def test_more_duplicates_than_were_sent_are_found() -> None:
    rows = tuple(Row("duplicate", f"id-{name}", "duplicate", KEY, "postback", 2) for name in "bc")
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", None, row=None), further=rows[:1]) == []
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", None, row=None), further=rows) == ["no order"]


def test_two_outcomes_of_one_postback_are_found() -> None:
    assert found(sent(1, "- 5", "stored"), sent(2, "- 7", "conflict", row="duplicate")) == ["two outcomes"]
    assert found(sent(1, "- 5", "overloaded", row="stored")) == ["not stored, they said"]


def test_an_order_against_real_time_is_found() -> None:
    assert found(sent(1, "- 5", "duplicate"), sent(2, "- 5", "stored")) == ["no order"]
    assert found(sent(1, "- 5", "duplicate", answered=2.5), sent(2, "- 5", "stored")) == []


def test_what_is_spooled_keeps_its_place_on_its_host() -> None:
    first, second = sent(1, "- 5", "spooled", row="conflict"), sent(2, "- 7", "spooled", row="stored")
    assert found(first, second) == ["no order"]
    assert found(first, other_host(second)) == []


def test_an_order_within_a_batch_is_found() -> None:
    rows = [
        sent(1, "- 5", "duplicate", group="batch", place=1, tag="first"),
        sent(1, "- 5", "stored", group="batch", place=2, tag="second"),
    ]
    assert found(*rows) == ["no order"]


def test_numbers_of_changes_that_no_order_gives_are_found() -> None:
    first = sent(1, "pending 5", "stored")
    assert found(first, sent(2, "approved 5", "updated", number=2)) == ["no order"]
    assert found(first, sent(2, "approved 5", "updated", number=2), sent(3, "refunded 5", "updated", number=1)) == [
        "no order"
    ]


def test_a_status_that_could_not_follow_is_found() -> None:
    assert found(sent(1, "rejected 5", "stored"), sent(2, "approved 5", "updated")) == ["no order"]
    assert found(sent(1, "pending 5", "stored"), sent(2, "approved 5", "illegal_transition")) == ["no order"]


def test_an_erased_postback_that_is_back_is_found() -> None:
    back = sent(1, "- 5", "storage_unavailable", row="stored")
    assert found(back, erasures=(erased(3),)) == ["erased and back"]
    assert found(sent(1, "- 5", "stored"), erasures=(erased(3),)) == ["erased and back"]


def test_a_conversion_that_inherits_an_erased_status_is_found() -> None:
    old = sent(1, "rejected 5", "stored", row=None)
    heir = sent(4, "approved 5", "illegal_transition")
    assert found(old, sent(3.9, "- 5", "stored"), heir, erasures=(erased(2),)) == ["no order"]


def test_a_change_without_its_conversion_is_found() -> None:
    old = sent(1, "pending 5", "stored", row=None)
    assert found(old, sent(4, "approved 5", "updated"), erasures=(erased(2),)) == ["no order"]


def atomic(*events: Event) -> list[Event]:
    return [
        (replace(one, atomic=True, group="batch", place=place, key=KEY._replace(click_id=f"click-{place}")), row)
        for place, (one, row) in enumerate(events, 1)
    ]


def moved(event: Event) -> Event:
    """Give the row its operation's key."""
    one, row = event
    return one, row and replace(row, key=one.key)


def test_half_of_an_atomic_batch_is_found() -> None:
    stored = sent(1, "- 5", "stored", tag="a")
    for other in (
        sent(1, "- 5", "storage_unavailable", row=None, tag="b"),
        sent(1, "- 5", "refused", row=None, tag="b"),
        sent(1, "- 5", "illegal_transition", tag="b"),
    ):
        assert "half of an atomic batch" in found(*map(moved, atomic(stored, other)))
    assert found(*map(moved, atomic(stored, sent(1, "- 5", "stored", tag="b")))) == []


def test_an_outcome_of_something_flawed_is_found() -> None:
    one, row = sent(1, "- 5", "stored")
    assert found((replace(one, rejected=frozenset({"invalid_value"})), row)) == ["another outcome"]
    one, row = sent(1, "- 5", "invalid_value")
    assert found((one, row)) == ["another outcome"]
    assert found((replace(one, rejected=frozenset({"invalid_value"})), row)) == []


def test_another_content_and_another_door_are_found() -> None:
    one, row = sent(1, "- 5", "stored")
    assert row
    assert found((one, replace(row, said=said("- 7")))) == ["another content"]
    assert found((one, replace(row, door="batch"))) == ["another door"]


@pytest.mark.parametrize(
    ("earlier", "words", "expected"),
    [
        ((), "approved 5", "stored"),
        (("- 5",), "refunded 5", "updated"),
        (("pending 0", "approved 12.50"), "- 0", "duplicate"),
        (("pending 5", "approved -"), "approved 0", "conflict"),
        (("pending -", "approved -"), "approved 0", "duplicate"),
        (("pending 5", "approved -"), "approved 5", "duplicate"),
        (("approved 5", "refunded -"), "approved 7", "illegal_transition"),
        (("- 5",), "- 5 USD", "conflict"),
    ],
)
def test_the_model_says_what_the_page_says(earlier: tuple[str, ...], words: str, expected: str) -> None:
    conversion: Conversion = NEVER
    for one in earlier:
        _, conversion = judge(conversion, said(one))
    assert judge(conversion, said(words))[0] == expected


def test_a_policy_makes_the_key() -> None:
    ordered = KEY._replace(transaction_id="order")
    assert key_of("first", ordered, "own") == ordered
    assert key_of("click", ordered, "own") == KEY
    assert key_of("sum", ordered, "own") == ordered
    assert key_of("sum", KEY, "own") == KEY._replace(transaction_id="own")
