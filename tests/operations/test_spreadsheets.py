"""Spreadsheets as programs and platforms write them: what is in them is stored exactly, and the rest has its reason."""

from pathlib import Path

import pytest

from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.importing.file import ImportFile
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import Reconciliation
from service.operations.reconciling.partner_list import PartnerList, Said
from service.storage.database import Database, database_at
from service.storage.reads.conversions import Wanted
from service.storage.reads.quarantine import Chosen
from service.storage.sqlite.ledger import SqliteLedger
from tests.operations.spreadsheet_case import Spreadsheet
from tests.operations.spreadsheets_damaged import DAMAGED, REFUSED
from tests.operations.spreadsheets_of_countries import OF_COUNTRIES
from tests.operations.spreadsheets_of_people import OF_PEOPLE, UNSURE
from tests.operations.spreadsheets_of_platforms import OF_PLATFORMS
from tests.operations.spreadsheets_of_programs import OF_PROGRAMS
from tests.support.imported import imported

SHEETS = [*OF_PROGRAMS, *OF_COUNTRIES, *OF_PLATFORMS, *OF_PEOPLE, *DAMAGED]
NOT_TAKEN = [*REFUSED, *UNSURE]
A_SHEET = pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.title)


@pytest.fixture
def database(path: Path) -> Database:
    """Return the database of the ledger."""
    return database_at(f"sqlite:///{path}")


def file_of(tmp_path: Path, sheet: Spreadsheet) -> ImportFile:
    (tmp_path / "sheet.csv").write_bytes(sheet.content)
    file = RowFile(tmp_path / "sheet.csv", "csv")
    return ImportFile(file, sheet.moments, sender=sheet.sender, options=sheet.options)


def stored(database: Database, sheet: Spreadsheet) -> list[tuple[object, ...]]:
    rows = [row for page in database.conversions().pages(Wanted()) for row in page]
    found = [(it.click_id, it.value_micros, it.currency, f"{it.received_at:%Y-%m-%d %H:%M:%S}") for it in rows]
    return sorted(row if sheet.moments else row[:3] for row in found)


@A_SHEET
def test_what_is_in_it_is_stored_exactly_and_every_other_row_has_its_reason(
    database: Database, sqlite_ledger: SqliteLedger, tmp_path: Path, sheet: Spreadsheet
) -> None:
    report = tmp_path / "report.csv"
    rows = file_of(tmp_path, sheet)
    imported(rows, database, sqlite_ledger, report, every=False)
    assert stored(database, sheet) == sorted(sheet.stored)
    kept = [row for page in database.quarantine().pages(Chosen()) for row in page]
    reasons = sorted((row.outcome, row.detail) for row in kept)
    assert len(reasons) == len(sheet.rejected)
    for (outcome, detail), (expected, part) in zip(reasons, sorted(sheet.rejected), strict=True):
        assert (outcome, part in detail) == (expected, True), detail
    assert rows.read_as == sheet.told


@A_SHEET
def test_given_again_nothing_is_stored_twice(
    database: Database, sqlite_ledger: SqliteLedger, tmp_path: Path, sheet: Spreadsheet
) -> None:
    tallies = [
        imported(file_of(tmp_path, sheet), database, sqlite_ledger, tmp_path / f"{time}.csv")[1] for time in (1, 2)
    ]
    assert tallies[0] == tallies[1]
    assert stored(database, sheet) == sorted(sheet.stored)


@A_SHEET
def test_reconciled_with_what_was_stored_of_it_nothing_is_missing(
    database: Database, sqlite_ledger: SqliteLedger, tmp_path: Path, sheet: Spreadsheet
) -> None:
    imported(file_of(tmp_path, sheet), database, sqlite_ledger, tmp_path / "report.csv")
    file = RowFile(tmp_path / "sheet.csv", "csv")
    partner = PartnerList(file, Said(), sheet.options, sheet.sender)
    comparison = Reconciliation(Ours(database, Wanted()))
    differences = [one for page in comparison.differences(partner, lambda _: None) for one in page]
    counts = {kind: total.count for kind, total in comparison.totals.items() if total.count}
    assert counts == sheet.counts
    assert all(one.explanation for one in differences)


@pytest.mark.parametrize("sheet", NOT_TAKEN, ids=lambda sheet: sheet.title)
def test_what_cannot_be_understood_is_refused_before_anything_is_stored(tmp_path: Path, sheet: Spreadsheet) -> None:
    with pytest.raises(UnreadableFile) as refused:
        file_of(tmp_path, sheet).assert_header()
    assert sheet.refused in str(refused.value)


@pytest.mark.parametrize("sheet", [it for it in NOT_TAKEN if "thousands" in it.refused], ids=lambda sheet: sheet.title)
def test_a_list_whose_amounts_may_be_two_things_is_not_compared(tmp_path: Path, sheet: Spreadsheet) -> None:
    (tmp_path / "sheet.csv").write_bytes(sheet.content)
    with pytest.raises(UnreadableFile) as refused:
        PartnerList(RowFile(tmp_path / "sheet.csv", "csv"), Said(), sheet.options, sheet.sender)
    assert sheet.refused in str(refused.value)


def test_there_are_as_many_as_was_promised() -> None:
    assert len({sheet.title for sheet in [*SHEETS, *NOT_TAKEN]}) == len([*SHEETS, *NOT_TAKEN]) >= 60
