"""An import tells the mistakes in rows that it accepts: in sums, and each in the report."""

import asyncio
import csv
from pathlib import Path

import pytest

from service.core.presets import EZMOB, PRESETS
from service.core.sender import Sender
from service.operations.files.row_file import RowFile
from service.operations.importing.file import ImportFile
from service.operations.importing.operation import begin_import, import_rows, rehearse_import
from service.operations.importing.report import Report, ReportForm, ReportPlace
from service.storage.ledger import Ledger
from tests.support.engines import Engine
from tests.support.imported import Dying, Interrupted, outcomes

KEITARO = PRESETS["keitaro"]
ROWS = """subid,payout,profit,status,currency
a,1.50,,sale,
b,,10,,
c,,0,,
d,1.50,,ftd,
e,1.00000049,,,
e,1.00000049,,,
a,0.30000001,,rejected,
f,1,7,,
b,,12,,
g,x,7,ftd,
h,2,,ftd,
"""
SUMS = {"other_name": (2, 2), "rounded_amount": (3, 5), "unknown_status": (2, 4)}
TOLD = [
    ("2", "stored", "other_name"),
    ("4", "stored", "unknown_status"),
    ("5", "stored", "rounded_amount"),
    ("6", "duplicate", "rounded_amount"),
    ("7", "updated", "rounded_amount: approved → rejected, value 0.30000001 (no currency)"),
    ("9", "duplicate", "other_name"),
    ("10", "invalid_value", "'x' is not an amount"),
    ("11", "stored", "unknown_status"),
]
READ = ("11", "read", "7 stored, 2 duplicate, 1 updated, 1 invalid_value")


def given(tmp_path: Path, content: str = ROWS, sender: Sender = KEITARO) -> ImportFile:
    (tmp_path / "rows.csv").write_text(content, encoding="utf-8")
    return ImportFile(RowFile(tmp_path / "rows.csv", "csv"), sender=sender, group_rows=3)


def imported(  # noqa: PLR0913 - what an import needs
    engine: Engine, ledger: Ledger, rows: ImportFile, report: Path, form: ReportForm = "csv", *, every: bool = False
) -> dict[str, tuple[int, int]]:
    """Import as the command does, and return of each mistake how many rows have it and the first."""
    begun = asyncio.run(begin_import(engine.database, rows))
    with Report(ReportPlace(report, form, every), begun.rows.request_id) as told:
        asyncio.run(import_rows(begun, engine.database, ledger, told))
        return {name: (found.rows, found.first_row) for name, found in told.mistakes.summed().items()}


def told(report: Path) -> list[tuple[str, ...]]:
    with report.open(encoding="utf-8", newline="") as file:
        return [(row["row"], row["outcome"], row["detail"]) for row in csv.DictReader(file)]


def test_a_report_of_what_was_not_stored_tells_what_was_stored_with_a_mistake(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    assert imported(engine, ledger, given(tmp_path), report) == SUMS
    assert told(report) == [*TOLD, READ]
    with report.open(encoding="utf-8", newline="") as file:
        hints = {row["row"]: row["hint"] for row in csv.DictReader(file)}
    assert hints["2"].startswith("Send the value as payout: profit is what others call it.")
    assert hints["4"].startswith("Send status in a word that is set up")
    assert hints["6"] == hints["5"] != ""
    assert hints["10"].startswith("Send payout as a plain number")


@pytest.mark.parametrize(
    ("sender", "content", "mistake"),
    [
        (KEITARO, "subid,payout,profit\nk,,1\n", "other_name"),
        (KEITARO, "subid,payout,status\nk,1,ftd\n", "unknown_status"),
        (KEITARO, "subid,payout\nk,0.00000051\n", "rounded_amount"),
        (EZMOB, "c,value,amp;currency\nk,1,EUR\n", "html_escaped"),
        (EZMOB, "c,value\n1.50,7\n", "swapped"),
        (EZMOB, "c,value\na%2Fb,7\n", "double_encoded"),
    ],
)
def test_each_mistake_is_summed_and_a_rehearsal_sums_the_same(  # noqa: PLR0913 - the case
    engine: Engine, ledger: Ledger, tmp_path: Path, *, sender: Sender, content: str, mistake: str
) -> None:
    rows = given(tmp_path, content, sender)
    foreseen = asyncio.run(rehearse_import(engine.database, rows))
    assert {name: found.first_row for name, found in foreseen.mistakes.items()} == {mistake: 1}
    assert imported(engine, ledger, rows, tmp_path / "report.csv") == {mistake: (1, 1)}
    assert outcomes(tmp_path / "report.csv") == ["stored", "read"]


def test_a_rehearsal_counts_over_groups_and_leaves_out_what_is_rejected(engine: Engine, tmp_path: Path) -> None:
    foreseen = asyncio.run(rehearse_import(engine.database, given(tmp_path)))
    assert {name: (found.rows, found.first_row) for name, found in foreseen.mistakes.items()} == SUMS
    assert next(iter(foreseen.mistakes)) == "rounded_amount"  # the most frequent


def test_what_is_right_is_not_told(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    rows = given(tmp_path, "subid,payout,status,country\na,1.50,sale,DE\nb,,lead,\nc,-0.000001,,\n")
    assert imported(engine, ledger, rows, tmp_path / "report.csv") == {}
    assert outcomes(tmp_path / "report.csv") == ["read"]


@pytest.mark.parametrize("every", [True, False], ids=["every row", "what was not stored"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("commits", [0, 2, 4])
def test_after_an_interruption_the_sums_are_those_of_all_rows(  # noqa: PLR0913 - where it is cut off
    engine: Engine, ledger: Ledger, tmp_path: Path, commits: int, form: ReportForm, *, every: bool
) -> None:
    report, rows = tmp_path / f"report.{form}", given(tmp_path)
    if commits < 4:
        with pytest.raises(Interrupted):
            imported(engine, Dying(ledger, commits, after=True), rows, report, form, every=every)
    assert imported(engine, ledger, rows, report, form, every=every) == SUMS
    assert imported(engine, ledger, rows, report, form, every=every) == SUMS


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_report_that_is_torn_anywhere_is_mended_and_stays_what_it_was(
    engine: Engine, ledger: Ledger, tmp_path: Path, form: ReportForm
) -> None:
    report, rows = tmp_path / f"report.{form}", given(tmp_path, "subid,profit\n" + "".join(f"{n},1\n" for n in "abcd"))
    sums = imported(engine, ledger, rows, report, form)
    whole = report.read_bytes()
    for end in range(whole.find(b"\n") + 1, len(whole), 29):
        report.write_bytes(whole[:end])
        assert imported(engine, ledger, rows, report, form) == sums == {"other_name": (4, 1)}
        assert report.read_bytes() == whole, end
