"""Reconciling, on every engine: a partner's list and ours are paired, summed up exactly, and explained."""

import tracemalloc
from collections import Counter
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outcome import Outcome
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.reconciling.claims import Amount, Claim
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import (
    Difference,
    Kind,
    Reconciliation,
    paired,
)
from service.operations.reconciling.partner_list import Columns, PartnerList, Said
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import Engine

DAY = timedelta(days=1)
Pair = tuple[Kind, Claim | None, Claim | None]
SINCE, UNTIL = builders.RECEIVED_AT - DAY, builders.RECEIVED_AT + DAY


@pytest.fixture
def ours(ledger: Ledger) -> None:
    """Store what partners know, and what they do not."""
    ledger.commit(
        [
            builders.postback("c=same&value=1.50&currency=EUR"),
            builders.postback("c=dearer&value=2"),
            builders.postback("c=only-ours&value=0.000001&currency=USD"),
            builders.postback("c=twice&value=3&txid=1"),
            builders.postback("c=twice&value=4&txid=2"),
            builders.postback("c=earlier&value=5", received_at=builders.RECEIVED_AT - 2 * DAY),
            builders.rejection(Outcome.INVALID_VALUE, "refused"),
        ]
    )


def file_of(tmp_path: Path, content: str) -> RowFile:
    (tmp_path / "partner.csv").write_text(content, encoding="utf-8")
    return RowFile(tmp_path / "partner.csv", "csv")


def reconciled(
    engine: Engine,
    file: RowFile,
    said: Said = Said(),  # noqa: B008 - it cannot be changed
) -> tuple[Reconciliation, list[Difference]]:
    comparison = Reconciliation(Ours(engine.database, Wanted(None, None, SINCE, UNTIL)))
    pages = comparison.differences(PartnerList(file, said), lambda _: None)
    return comparison, [difference for page in pages for difference in page]


@pytest.mark.usefixtures("ours")
def test_each_kind_of_difference_is_found_counted_and_explained(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,payout,currency\nsame,1.5,eur\ndearer,2.01,\ntwice,4,\ntwice,3.0,\n"
    content += 'refused,1,\nearlier,5,\nnever,7,USD\nsame,1.50,EUR\n,1,\nbad,"1,5",\n'
    comparison, differences = reconciled(engine, file_of(tmp_path, content))
    assert [(it.kind, it.click_id, it.there and it.there.place, it.explanation) for it in differences] == [
        ("unreadable", "", "9", "no click id"),
        ("unreadable", "bad", "10", "'1,5' is not an amount"),
        ("value_differs", "dearer", "2", ""),
        ("missing_here", "earlier", "6", "stored, outside the period: 2025-12-31 03:04:05 UTC"),
        ("missing_here", "never", "7", "never arrived"),
        ("missing_there", "only-ours", None, "unless it is in the row whose click id cannot be read"),
        ("missing_here", "refused", "5", "rejected: invalid_value, 2026-01-02 03:04:05 UTC: 'x' is not an amount"),
        ("missing_here", "same", "8", "the click id is stored, not this conversion of it"),
    ]
    counts = {kind: total.count for kind, total in comparison.totals.items()}
    assert counts == {"matched": 3, "value_differs": 1, "missing_here": 4, "missing_there": 1, "unreadable": 2} | {
        "status_differs": 0,
        "unpaid": 0,
    }
    assert comparison.totals["matched"].here == {"EUR": 1_500_000, "": 7_000_000}
    assert comparison.totals["missing_here"].there == {"": 6_000_000, "USD": 7_000_000, "EUR": 1_500_000}
    assert comparison.totals["missing_there"].here == {"USD": 1}


@pytest.mark.usefixtures("ours")
def test_transaction_ids_are_compared_where_their_column_is_said(engine: Engine, tmp_path: Path) -> None:
    file = file_of(tmp_path, "cid,amount,order\ntwice,4,1\ntwice,3,2\n")
    swapped = [it.kind for it in reconciled(engine, file, Said(transaction_id="order"))[1] if it.click_id == "twice"]
    assert swapped == ["value_differs"] * 2
    assert [it for it in reconciled(engine, file)[1] if it.click_id == "twice"] == []


@pytest.mark.parametrize(
    ("header", "said", "columns"),
    [
        ("c,value", Said(), Columns("c", "value", None, None)),
        ("Payout,Click ID,Currency", Said(), Columns("Click ID", "Payout", None, "Currency")),
        ("subid,click-id,amount,payout", Said(), Columns("click-id", "amount", None, None)),
        ("x,y,value", Said("x", "y", "value"), Columns("x", "y", "value", None)),
    ],
)
def test_columns_are_known_by_their_names_or_said(tmp_path: Path, header: str, said: Said, columns: Columns) -> None:
    assert PartnerList(file_of(tmp_path, header + "\n"), said).columns == columns


@pytest.mark.parametrize(
    ("header", "said", "reason"),
    [
        ("x,value", Said(), "--click-id-column .* x, value"),
        ("c,x", Said(), "--value-column .* c, x"),
        ("c,value", Said(currency="x"), "no column is called x"),
        ("", Said(), "no header"),
    ],
)
def test_columns_that_nobody_knows_are_asked_for(tmp_path: Path, header: str, said: Said, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        PartnerList(file_of(tmp_path, header + "\n"), said)


CLAIMS = st.lists(
    st.builds(
        Claim,
        st.builds(Amount, st.integers(0, 3), st.sampled_from(["", "EUR", "USD"])),
        st.integers(0, 99).map(str),
        st.just(""),
    ),
    max_size=8,
)


UNPAID = st.lists(
    st.builds(lambda word: Claim(Amount(0, ""), "1", word), st.sampled_from(["refunded", "rejected"])), max_size=3
)


@given(here=st.builds(list.__add__, CLAIMS, UNPAID), there=st.builds(list.__add__, UNPAID, CLAIMS))
def test_every_conversion_of_either_list_is_told_once_and_what_matches_is_equal(
    here: list[Claim], there: list[Claim]
) -> None:
    pairs = list(paired(here, there))
    assert Counter(mine for _, mine, _ in pairs if mine) == Counter(here)
    assert Counter(theirs for _, _, theirs in pairs if theirs) == Counter(there)
    for kind, mine, theirs in pairs:
        if kind == "matched":
            assert mine
            assert theirs
            assert mine.amount
            assert theirs.amount
            assert mine.amount.micros == theirs.amount.micros
            assert "" in (codes := {mine.amount.currency, theirs.amount.currency}) or len(codes) == 1
    kinds = {kind for kind, _, _ in pairs}
    assert not {"missing_here", "missing_there"} <= kinds


def searched(here: list[Claim], there: list[Claim]) -> list[Pair]:
    """Pair by looking through all that is left, for each: what pairing means, and too slow for many."""
    left: dict[int, list[Claim]] = {}
    for claim in here:
        left.setdefault(micros(claim), []).append(claim)
    pairs: list[Pair] = []
    unequal = []
    for claim in there:
        same = left.get(micros(claim), [])
        place = next((place for place, mine in enumerate(same) if agree(mine, claim)), None)
        if place is None:
            unequal.append(claim)
        else:
            pairs.append(("matched", same.pop(place), claim))
    for mine, theirs in zip_longest([claim for claims in left.values() for claim in claims], unequal):
        kind: Kind = "missing_here" if mine is None else "missing_there" if theirs is None else "value_differs"
        pairs.append((kind, mine, theirs))
    return pairs


def micros(claim: Claim) -> int:
    assert claim.amount
    return claim.amount.micros


def agree(mine: Claim, theirs: Claim) -> bool:
    return len({claim.amount.currency for claim in (mine, theirs) if claim.amount and claim.amount.currency}) < 2


@given(here=CLAIMS, there=CLAIMS)
def test_pairs_are_those_that_a_search_through_everything_finds(here: list[Claim], there: list[Claim]) -> None:
    assert list(paired(here, there)) == searched(here, there)


def test_many_equal_amounts_in_other_currencies_are_paired_without_searching_all_of_them() -> None:
    """A search would look at 2,500,000,000 of them, and the test would not end."""
    euros = [Claim(Amount(1, "EUR"), str(number)) for number in range(50_000)]
    dollars = [Claim(Amount(1, "USD"), str(number)) for number in range(50_000)]
    kinds = Counter(kind for kind, _, _ in paired(euros, [*dollars, Claim(Amount(1, ""), "any")]))
    assert kinds == {"matched": 1, "value_differs": 49_999, "missing_here": 1}


@pytest.mark.proof
def test_rows_that_cannot_be_read_are_not_held(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    """They have no click id, so all of a list may be under one key."""
    assert ledger
    file = file_of(tmp_path, "click_id,value\n" + ",1\n" * 30_000)
    comparison = Reconciliation(Ours(engine.database, Wanted()))
    pages = comparison.differences(PartnerList(file), lambda _: None)
    tracemalloc.start()
    try:
        places = [it.there.place for page in pages for it in page[-1:] if it.there]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert places[-1] == "30000"
    assert comparison.totals["unreadable"].count == 30_000
    assert peak < 2**21
