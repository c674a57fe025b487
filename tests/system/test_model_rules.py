"""Owns the proof that the model says what docs/status.md says, and that histories which are fine have an order."""

from decimal import Decimal

import pytest

from tests.support.outside.model.history import Erasure
from tests.support.outside.model.made import KEY, Event, erased, found, other_host, said, sent
from tests.support.outside.model.rules import NEVER, Conversion, amount_of, judge, key_of

pytestmark = pytest.mark.system

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
            sent(12, "?refunde 7", "invalid_status"),
        ),
        (),
    ),
    "a word that nobody knows, an appeal, and a chargeback": (
        (
            sent(1, "?signup 0", "stored"),
            sent(2, "?signup 0", "duplicate"),
            sent(3, "?deposit 0", "invalid_status"),
            sent(4, "- 0", "duplicate"),
            sent(5, "rejected 0", "updated", number=1),
            sent(6, "approved 5", "updated", number=2),
            sent(7, "?signup 0", "duplicate"),
            sent(8, "rejected 5", "updated", number=3),
            sent(9, "approved 6", "illegal_transition"),
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
    "a row that names who sent it": (
        (sent(1, "- 5", None, row="stored"), sent(2, "- 7", "conflict")),
        (),
    ),
    "spooled, and erased before it was drained, beside what it would repeat": (
        (sent(1, "- 5", "stored", row=None), sent(2, "- 5", "spooled", row=None)),
        (erased(3),),
    ),
    "perhaps erased": (
        (sent(1, "- 5", "stored"), sent(4, "- 5", "duplicate")),
        (erased(3, surely=False),),
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_a_history_that_is_fine_has_no_difference(name: str) -> None:
    events, erasures = FINE[name]
    if "another host" in name:
        events = (*events[:-1], other_host(events[-1]))
    assert found(*events, erasures=erasures) == []


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
        ((), "?signup 5", "stored"),
        (("- 5",), "?signup 5", "invalid_status"),
        (("approved 5",), "?refunde 5", "invalid_status"),
        (("?signup 5",), "?signup 5", "duplicate"),
        (("?signup 5",), "?signup -", "duplicate"),
        (("?signup -",), "?signup 0", "duplicate"),
        (("?signup 5",), "?signup 6", "invalid_status"),
        (("?signup 5",), "?Signup 5", "invalid_status"),
        (("?signup 5",), "- 5", "duplicate"),
        (("?signup 5",), "pending 5", "updated"),
        (("?signup 5", "approved 9"), "?signup 5", "duplicate"),
        (("?signup 5", "approved 9"), "?signup 9", "invalid_status"),
        (("rejected 5",), "approved 5", "updated"),
        (("pending 0", "rejected 0"), "approved 5", "updated"),
        (("approved 5", "rejected 5"), "approved 6", "illegal_transition"),
        (("rejected 5",), "refunded 5", "illegal_transition"),
        (("approved 5",), "pending 6", "illegal_transition"),
    ],
)
def test_the_model_says_what_the_page_says(earlier: tuple[str, ...], words: str, expected: str) -> None:
    conversion: Conversion = NEVER
    for one in earlier:
        _, conversion = judge(conversion, said(one))
    assert judge(conversion, said(words))[0] == expected


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("5", "5"),
        ("5.00", "5"),
        ("5e0", "5"),
        ("1E2", "100"),
        ("7.0000004", "7"),
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
    ],
)
def test_an_amount_counts_in_millionths(text: str, amount: str) -> None:
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "free", "1,50", "1e", "-"])
def test_what_is_no_amount_counts_nothing(text: str) -> None:
    assert amount_of(text) is None


def test_a_policy_makes_the_key() -> None:
    ordered = KEY._replace(transaction_id="order")
    assert key_of("first", ordered, "own") == ordered
    assert key_of("click", ordered, "own") == KEY
    assert key_of("sum", ordered, "own") == ordered
    assert key_of("sum", KEY, "own") == KEY._replace(transaction_id="own")
