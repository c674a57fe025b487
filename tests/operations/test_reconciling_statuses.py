"""A partner's column of statuses: what it rejected or refunded is no sale of its, and is told as that."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.presets import EZMOB
from service.core.sender import Sender
from service.operations.files.row_file import RowFile
from service.operations.files.spreadsheet.reading import Options
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import Difference, Reconciliation
from service.operations.reconciling.partner_list import PartnerList, Said
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import Engine

LATER = builders.RECEIVED_AT + timedelta(hours=1)
REFUNDED = "refunded here, 2026-01-02 04:04:05 UTC: it was 3"


@pytest.fixture
def ours(ledger: Ledger) -> None:
    """Store a conversion that counts, one without a value, and one that was refunded."""
    first = [builders.postback(f"c={one}") for one in ("counts&value=2", "nothing&value=0", "gone&value=3")]
    ledger.commit([*first, builders.postback("c=gone&value=3&conversion_status=refunded", received_at=LATER)])


def compared(
    engine: Engine, tmp_path: Path, content: str, columns: dict[str, str] | None = None, sender: Sender = EZMOB
) -> tuple[dict[str, int], dict[str, list[tuple[str, str]]], str]:
    """Return the counts, what is told of each click id that differs, and how the list was read."""
    (tmp_path / "theirs.csv").write_text(content, encoding="utf-8")
    options = Options(columns=columns or {})
    partner = PartnerList(RowFile(tmp_path / "theirs.csv", "csv"), Said(), options, sender)
    comparison = Reconciliation(Ours(engine.database, Wanted()))
    found: list[Difference] = [one for page in comparison.differences(partner, lambda _: None) for one in page]
    told: dict[str, list[tuple[str, str]]] = {}
    for one in found:
        told.setdefault(one.click_id, []).append((one.kind, one.explanation))
    counts = {str(kind): total.count for kind, total in comparison.totals.items() if total.count}
    return counts, told, partner.read_as


@pytest.mark.usefixtures("ours")
def test_what_both_sides_refunded_agrees_and_what_one_side_refunded_differs(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,Status\ncounts,2,Refunded\nnothing,0,approved\ngone,3,chargeback\n"
    counts, told, read_as = compared(engine, tmp_path, content)
    assert counts == {"matched": 1, "status_differs": 1, "unpaid": 1}
    assert told == {"counts": [("status_differs", "Refunded in their list: it was 2")]}
    assert read_as.endswith(", header in line 1, 2 rejected or refunded rows counted as 0")


@pytest.mark.usefixtures("ours")
def test_what_they_want_money_for_and_is_refunded_here_still_differs(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,status\ncounts,2,paid\nnothing,0,\ngone,3,approved\n"
    counts, told, _ = compared(engine, tmp_path, content)
    assert counts == {"matched": 2, "status_differs": 1}
    assert told == {"gone": [("status_differs", REFUNDED)]}


@pytest.mark.usefixtures("ours")
def test_a_rejected_row_that_never_arrived_is_nobodys_money_whatever_its_amount_says(
    engine: Engine, tmp_path: Path
) -> None:
    content = "click_id,value,status\ncounts,2,\nnothing,0,\nnever,n/a,rejected\ncounts,5,rejected\n"
    counts, told, _ = compared(engine, tmp_path, content)
    assert counts == {"matched": 2, "unpaid": 3}
    assert told == {}


@pytest.mark.usefixtures("ours")
def test_a_word_that_nobody_knows_counts_and_is_told(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,status\ncounts,2,storniert\nnothing,0,ok\ngone,0,ok\n"
    counts, _, read_as = compared(engine, tmp_path, content)
    assert counts == {"matched": 2, "unpaid": 1}
    assert read_as.endswith("unknown statuses, counted at full value: 'storniert' 'ok'")


@pytest.mark.usefixtures("ours")
def test_a_senders_own_words_are_known_and_another_name_of_the_column_is_said(engine: Engine, tmp_path: Path) -> None:
    sender = replace(EZMOB, statuses={"storniert": "rejected"})
    content = "click_id;value;Zustand\ncounts;2;Storniert \nnothing;0;\ngone;0;\n"
    counts, _, _ = compared(engine, tmp_path, content, {"Zustand": "conversion_status"}, sender)
    assert counts == {"matched": 1, "status_differs": 1, "unpaid": 1}
