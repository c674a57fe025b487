"""A partner's list: a row that cannot be read has its reason, and hides no conversion of ours; click ids may be all."""

from pathlib import Path

import pytest

from service.operations.errors import WrongValues
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.files.spreadsheet.reading import Options
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import Difference, Reconciliation
from service.operations.reconciling.partner_list import Columns, PartnerList, Said
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import Engine

Told = list[tuple[str, str, bool, str | None, str]]  # kind, click id, whether it is here, its row there, explanation


@pytest.fixture
def ours(ledger: Ledger) -> None:
    """Store three conversions of three click ids, and two of one."""
    ledger.commit(
        [
            builders.postback("c=one&value=1.50&currency=EUR"),
            builders.postback("c=two&value=2"),
            builders.postback("c=three&value=3"),
            builders.postback("c=both&value=4&txid=1"),
            builders.postback("c=both&value=5&txid=2"),
        ]
    )


def partner_of(tmp_path: Path, content: str | bytes, said: Said = Said(), options: Options = Options()) -> PartnerList:  # noqa: B008 - they cannot be changed
    (tmp_path / "theirs.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return PartnerList(RowFile(tmp_path / "theirs.csv", "csv"), said, options)


def compared(engine: Engine, partner: PartnerList) -> tuple[dict[str, int], Told]:
    comparison = Reconciliation(Ours(engine.database, Wanted()))
    found: list[Difference] = [one for page in comparison.differences(partner, lambda _: None) for one in page]
    told: Told = [
        (it.kind, it.click_id, it.here is not None, it.there and it.there.place, it.explanation) for it in found
    ]
    return {str(kind): total.count for kind, total in comparison.totals.items() if total.count}, told


UNREADABLE = [
    ("one;12,5o\ntwo;2\n", ("1", "'12,5o' is not an amount")),
    ("one;\ntwo;2\n", ("1", "no value")),
    ("two;2\none;1,50;x\n", ("2", "3 cells under a header of 2")),
    ('two;2\none;"1,50"x\n', ("2", "it is not one CSV record: ';' expected after '\"'")),
    ("two;2\none;€ 1,50 $\n", ("2", "'€ 1,50 $' is not an amount")),
]


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(("rows", "row"), UNREADABLE, ids=[reason for _, (_, reason) in UNREADABLE])
def test_a_row_that_cannot_be_read_is_told_with_our_conversion_of_its_click_id(
    engine: Engine, tmp_path: Path, rows: str, row: tuple[str, str]
) -> None:
    content = f"click_id;value\n{rows}three;3\nboth;4\nboth;5\n"
    counts, told = compared(engine, partner_of(tmp_path, content))
    assert counts == {"matched": 4, "unreadable": 1}
    assert told == [("unreadable", "one", True, *row)]


@pytest.mark.usefixtures("ours")
def test_a_row_of_letters_that_are_none_is_told_too(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,note\none,1.50,größer\ntwo,2".encode() + b"\xa0,gr\xf6\nthree,3,\nboth,4,\nboth,5,\n"
    counts, told = compared(engine, partner_of(tmp_path, content))
    assert counts == {"matched": 4, "unreadable": 1}
    why = "a letter that its encoding does not have: it is not UTF-8 at byte 5"
    assert told == [("unreadable", "two", True, "2", why)]


@pytest.mark.usefixtures("ours")
def test_a_letter_that_is_none_harms_no_row_that_is_compared_without_it(engine: Engine, tmp_path: Path) -> None:
    content = "click_id,value,note\none,1.50,größer\ntwo,2,gr".encode() + b"\xf6\xdfer\nthree,3,\nboth,4,\nboth,5,\n"
    counts, told = compared(engine, partner_of(tmp_path, content))
    assert (counts, told) == ({"matched": 5}, [])


@pytest.mark.usefixtures("ours")
def test_where_nothing_of_a_row_can_be_read_it_is_said_that_ours_may_be_among_them(
    engine: Engine, tmp_path: Path
) -> None:
    counts, told = compared(engine, partner_of(tmp_path, "click_id,value\n,1.50\n,2\ntwo,2\nboth,4\nboth,5\n"))
    assert counts == {"matched": 3, "unreadable": 2, "missing_there": 2}
    perhaps = "unless it is in the 2 rows whose click id cannot be read"
    assert told == [
        ("unreadable", "", False, "1", "no click id"),
        ("unreadable", "", False, "2", "no click id"),
        ("missing_there", "one", True, None, perhaps),
        ("missing_there", "three", True, None, perhaps),
    ]


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("both,x,1\nboth,5,2\n", [("unreadable", "both", True, "1", "'x' is not an amount")]),
        (
            "both,x,1\n",
            [("unreadable", "both", True, "1", "'x' is not an amount"), ("missing_there", "both", True, None, "")],
        ),
        ("both,5\nboth,4,1\n", [("unreadable", "both", True, "1", "2 cells under a header of 3")]),
        (
            "both,5\nboth,4,1\nboth,5,2\n",
            [("unreadable", "both", False, "1", "2 cells under a header of 3")],
        ),
    ],
    ids=["of its transaction", "not of another one", "of a transaction that cannot be read", "beside all of ours"],
)
def test_with_transaction_ids_it_stands_for_ours_of_its_transaction_or_for_any_if_that_cannot_be_read(
    engine: Engine, tmp_path: Path, rows: str, told: Told
) -> None:
    partner = partner_of(tmp_path, f"click_id,value,order\n{rows}", Said(transaction_id="order"))
    assert [one for one in compared(engine, partner)[1] if one[1] == "both"] == told


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "content",
    [
        "one\r\ntwo\r\nnever\r\nboth\r\n",
        "click_id\none\ntwo\nnever\nboth\n",
        "Click ID\none\n\ntwo\nnever\nboth\nboth\nTotal: 4\n",
        "\ufeffone\ntwo\nnever\nboth",
        "sep=;\nclick_id\none\ntwo\nnever\nboth",
    ],
    ids=["without a header", "with one", "twice the same, and a total", "with a mark", "with sep="],
)
def test_a_list_of_click_ids_alone_is_compared_by_these(engine: Engine, tmp_path: Path, content: str) -> None:
    counts, told = compared(engine, partner_of(tmp_path, content))
    assert counts == {"matched": 4, "missing_here": 1, "missing_there": 1}
    assert [one[:3] for one in told] == [("missing_here", "never", False), ("missing_there", "three", True)]
    assert told[0][4] == "never arrived"


@pytest.mark.parametrize(
    ("content", "said", "options", "columns"),
    [
        (
            "Klick;Umsatz;Bestellung\n",
            Said(),
            {"Klick": "click_id", "Umsatz": "value", "Bestellung": "transaction_id"},
            Columns("Klick", "Umsatz", "Bestellung", None),
        ),
        ("Klick;Umsatz\n", Said(click_id="Klick"), {"Umsatz": "value"}, Columns("Klick", "Umsatz", None, None)),
        ("a;b;c;value\n", Said(click_id="a"), {"b": "click_id"}, Columns("a", "value", None, None)),
        ("Klick\n", Said(click_id="Klick"), {}, Columns("Klick", None, None, None)),
    ],
)
def test_columns_are_said_by_either_option(
    tmp_path: Path, content: str, said: Said, options: dict[str, str], columns: Columns
) -> None:
    assert partner_of(tmp_path, content, said, Options(columns=options)).columns == columns


def test_what_cannot_be_compared_is_no_column_of_ours(tmp_path: Path) -> None:
    with pytest.raises(WrongValues, match="what can be compared is click_id, value, transaction_id, currency"):
        partner_of(tmp_path, "c,value,x\n", options=Options(columns={"x": "goal"}))


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no column is called Klick; there are c, value"):
        partner_of(tmp_path, "c,value\n", options=Options(columns={"Klick": "click_id"}))
