"""What reconcile says of conversions that a partner has and we do not, and of those that are worth nothing now."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Rejection
from service.core.roster import sender_from_preset
from service.core.verdict import Entry
from service.operations.files.row_file import RowFile
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import Difference, Reconciliation
from service.operations.reconciling.partner_list import PartnerList
from service.spool.journal import Journal
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import ON_POSTGRES, Engine

DAY = timedelta(days=1)
CAME = builders.RECEIVED_AT
WANTED = Wanted(since=CAME - DAY, until=CAME + DAY)
CLICK = "click-of-jane"
AT = "2026-01-02 03:04:05 UTC"


def compared(ours: Ours, path: Path, *rows: str) -> tuple[Reconciliation, list[Difference]]:
    file = RowFile(path / "theirs.csv", "csv")
    file.path.write_text("\n".join(["click_id,value,currency", *rows, ""]), encoding="utf-8")
    comparison = Reconciliation(ours)
    pages = comparison.differences(PartnerList(file), lambda _: None)
    return comparison, [difference for page in pages for difference in page]


def refused(raw: str | bytes, outcome: Outcome, click_id: str | None = None, later: int = 0) -> Entry:
    arrived = builders.raw(raw) if isinstance(raw, str) else builders.posted(raw)
    arrived = arrived._replace(received_at=CAME + timedelta(seconds=later))
    return Rejection(arrived, None, outcome, "why", click_id)


KNOWN: list[tuple[str, list[Entry]]] = [
    ("never arrived", []),
    (
        f"rejected: missing_click_id, {AT}, as parameter clickid: why",
        [refused(f"clickid={CLICK}", Outcome.MISSING_CLICK_ID)],
    ),
    (f"rejected: missing_click_id, {AT}, as parameter C: why", [refused(f"C={CLICK}", Outcome.MISSING_CLICK_ID)]),
    (f"rejected: unauthenticated, {AT}, as parameter c: why", [refused(f"c={CLICK}", Outcome.UNAUTHENTICATED)]),
    (f"rejected: invalid_value, {AT}: why", [refused(f"c={CLICK}&value=x", Outcome.INVALID_VALUE, CLICK)]),
    (
        f"rejected: missing_value, {AT}, as parameter sub1 of click id other: why",
        [refused(f"c=other&sub1={CLICK}", Outcome.MISSING_VALUE, "other")],
    ),
    (
        f"rejected: malformed_body, {AT}, in its raw input: why",
        [refused(f'{{"c":"{CLICK}"'.encode(), Outcome.MALFORMED_BODY)],
    ),
    (
        "rejected: invalid_value, 2026-01-02 03:04:06 UTC: why",
        [
            refused(f"c={CLICK}&value=x", Outcome.INVALID_VALUE, CLICK, later=1),
            refused(f"clickid={CLICK}", Outcome.MISSING_CLICK_ID),
        ],
    ),
    (
        "rejected: missing_click_id, 2026-01-02 03:04:07 UTC, as parameter clickid: why",
        [
            refused(f"c={CLICK}&value=x", Outcome.INVALID_VALUE, CLICK, later=1),
            refused(f"clickid={CLICK}", Outcome.MISSING_CLICK_ID, later=2),
        ],
    ),
    (
        "stored, outside the period: 2026-01-04 03:04:05 UTC",
        [builders.postback(f"c={CLICK}&value=1", received_at=CAME + 2 * DAY)],
    ),
    ("stored as a test", [builders.postback(f"c={CLICK}&value=1&test=1")]),
]


@pytest.mark.parametrize(("explanation", "kept"), KNOWN, ids=[told for told, _ in KNOWN])
def test_what_is_missing_is_explained_by_what_was_kept(
    engine: Engine, ledger: Ledger, tmp_path: Path, explanation: str, kept: list[Entry]
) -> None:
    ledger.commit([builders.postback("c=another&value=1"), *kept])
    _, differences = compared(Ours(engine.database, WANTED), tmp_path, f"{CLICK},1,", "another,1,")
    assert [(it.kind, it.explanation) for it in differences] == [("missing_here", explanation)]


def test_what_is_stored_of_another_sender_is_told(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    ledger.commit([builders.postback(f"c={CLICK}&value=1")])
    wanted = Wanted(sender="voluum", since=WANTED.since, until=WANTED.until)
    _, (difference,) = compared(Ours(engine.database, wanted), tmp_path, f"{CLICK},1,")
    assert difference.explanation == "stored, of sender ezmob"


@ON_POSTGRES
def test_what_waits_in_the_spool_is_told(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    assert ledger
    journal = Journal(tmp_path / "spool" / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback(f"c={CLICK}&value=1")])
    journal.close()
    _, (difference,) = compared(Ours(engine.database, WANTED, tmp_path / "spool"), tmp_path, f"{CLICK},1,")
    assert difference.explanation.startswith(f"spooled, {AT}: value 1 (no currency); waits in ")


def test_many_that_are_missing_are_searched_for_in_one_pass(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    ledger.commit([refused(f"clickid=click-{number:05}", Outcome.MISSING_CLICK_ID) for number in range(0, 1000, 2)])
    looked: list[int] = []
    ours = Ours(engine.database, WANTED, None, looked.append)
    _, differences = compared(ours, tmp_path, *(f"click-{number:05},1," for number in range(1000)))
    explained = [it.explanation for it in differences]
    assert set(explained[::2]) == {f"rejected: missing_click_id, {AT}, as parameter clickid: why"}
    assert set(explained[1::2]) == {"never arrived"}
    assert len(looked) == 1


def test_what_is_not_missing_is_not_searched_for(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    ledger.commit([builders.postback("c=another&value=1")])
    looked: list[int] = []
    compared(Ours(engine.database, WANTED, None, looked.append), tmp_path, "another,2,")
    assert looked == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("c=sale", "no value was sent: counts as 0"),
        ("c=sale&amount=12.50", "no value was sent: counts as 0; amount=12.50 is another name for a value"),
        ("c=sale&status=odd", "no value was sent: counts as 0; status=odd is no known status"),
        ("c=sale&value=0", ""),
        ("c=sale&value=7&amount=12.50", ""),
    ],
)
def test_another_value_of_theirs_is_explained_where_none_was_sent_here(
    engine: Engine, ledger: Ledger, tmp_path: Path, query: str, told: str
) -> None:
    sender = sender_from_preset("ezmob", "acme", required=frozenset({"click_id"}))
    ledger.commit([parse(builders.raw(query), sender)])
    _, (difference,) = compared(Ours(engine.database, WANTED), tmp_path, "sale,12.50,")
    assert (difference.kind, difference.explanation) == ("value_differs", told)


def decided(click_id: str, status: str) -> list[Entry]:
    first = builders.postback(f"c={click_id}&value=10&currency=EUR&conversion_status=approved")
    later = CAME + timedelta(seconds=1)
    return [
        first,
        builders.postback(f"c={click_id}&value=10&currency=EUR&conversion_status={status}", received_at=later),
    ]


UNPAID: list[tuple[list[str], dict[str, int]]] = [  # rows of theirs, and what is counted
    ([], {"unpaid": 1}),
    (["sale,0,EUR"], {"unpaid": 1}),
    (["sale,10,EUR"], {"status_differs": 1}),
    (["sale,12,"], {"status_differs": 1}),
    (["sale,10,EUR", "sale,10,EUR"], {"status_differs": 1, "missing_here": 1}),
]


@pytest.mark.parametrize("status", ["rejected", "refunded"])
@pytest.mark.parametrize("case", UNPAID, ids=str)
def test_what_was_rejected_or_refunded_counts_as_0_and_is_told_apart(
    engine: Engine, ledger: Ledger, tmp_path: Path, status: str, case: tuple[list[str], dict[str, int]]
) -> None:
    rows, counts = case
    for entry in decided("sale", status):
        ledger.commit([entry])
    comparison, differences = compared(Ours(engine.database, WANTED), tmp_path, *rows)
    assert [it.kind for it in differences] == [kind for kind in counts if kind != "unpaid"]
    assert {kind: total.count for kind, total in comparison.totals.items() if total.count} == counts
    assert sum(sum(total.here.values()) for total in comparison.totals.values()) == 0
    told = {it.explanation for it in differences if it.kind == "status_differs"}
    assert told <= {f"{status} here, 2026-01-02 03:04:06 UTC: it was 10 EUR"}


def test_a_row_of_theirs_is_paired_with_what_is_paid_first(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    for entry in decided("sale", "refunded"):
        ledger.commit([entry])
    ledger.commit(
        [builders.postback("c=sale&value=10&currency=EUR&txid=2"), builders.postback("c=sale&value=7&txid=3")]
    )
    comparison, differences = compared(Ours(engine.database, WANTED), tmp_path, "sale,10,EUR", "sale,8,EUR")
    assert [it.kind for it in differences] == ["value_differs"]
    assert comparison.totals["unpaid"].count == 1
    assert comparison.totals["matched"].here == {"EUR": 10_000_000}
