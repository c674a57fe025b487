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


SOLD = "click_id,value,status\nnothing,0,\ngone,0,\ncounts,2,approved\n"
TAKEN_BACK = [
    ("counts,-2,refunded", "taken back by row 4: refunded in their list: it was -2"),
    ("counts,2.00,chargeback", "taken back by row 4: chargeback in their list: it was 2.00"),
    ("counts,,refunded", "taken back by row 4: refunded in their list"),
    ("counts,-2,", "taken back by row 4: it was 2.00"),
    ("counts,-2,approved", "taken back by row 4: it was 2.00"),
]


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(("row", "why"), TAKEN_BACK)
def test_a_sale_that_another_row_of_theirs_takes_back_is_no_money_there(
    engine: Engine, tmp_path: Path, row: str, why: str
) -> None:
    counts, told, _ = compared(engine, tmp_path, f"{SOLD}{row}\n")
    assert counts == {"matched": 1, "unpaid": 1, "status_differs": 1}
    assert told == {"counts": [("status_differs", why)]}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("row", [row.replace("counts", "gone").replace("2", "3") for row, _ in TAKEN_BACK])
def test_a_sale_that_is_taken_back_on_both_sides_agrees(engine: Engine, tmp_path: Path, row: str) -> None:
    content = f"click_id,value,status\nnothing,0,\ncounts,2,\n{row}\ngone,3,approved\n"
    assert compared(engine, tmp_path, content)[:2] == ({"matched": 2, "unpaid": 1}, {})


@pytest.mark.usefixtures("ours")
def test_a_part_that_is_taken_back_is_taken_off_the_only_sale(engine: Engine, tmp_path: Path) -> None:
    counts, told, _ = compared(engine, tmp_path, f"{SOLD}counts,-0.5,refunded\n")
    assert counts == {"matched": 1, "unpaid": 1, "value_differs": 1}
    assert told == {"counts": [("value_differs", "0.50 taken off by row 4")]}
    counts, told, _ = compared(engine, tmp_path, f"{SOLD}counts,-0.5,refunded\ncounts,-1.5,refunded\n")
    assert counts == {"matched": 1, "unpaid": 1, "status_differs": 1}


@pytest.mark.usefixtures("ours")
def test_an_amount_taken_back_in_another_currency_takes_nothing_back(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,currency,status\nnothing,0,,\ngone,0,,\ncounts,2,EUR,\ncounts,-2,USD,refunded\n"
    assert compared(engine, tmp_path, content)[0] == {"matched": 2, "unpaid": 2}


def test_a_refunded_row_for_each_of_our_conversions_is_one_of_them(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    """Two sales of one click, of which one was refunded: no row takes back the other's."""
    sent = [builders.postback(f"c=two&value=2&txid={number}") for number in (1, 2)]
    ledger.commit([*sent, builders.postback("c=two&value=2&txid=2&conversion_status=refunded", received_at=LATER)])
    content = "click_id,value,status\ntwo,2,approved\ntwo,2,refunded\n"
    assert compared(engine, tmp_path, content)[:2] == ({"matched": 1, "unpaid": 1}, {})
