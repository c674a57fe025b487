"""The report of an import: mended where it is torn, believed only where it is this import's own."""

from pathlib import Path

import pytest

from service.operations.files.row_file import Form
from service.operations.importing.report import NoReport, Report, ReportPlace
from service.storage.database import database_at
from service.storage.ledger import Ledger
from tests.support.engines import Engine
from tests.support.imported import CSV, OUTCOMES, STORED, imported, in_threes, numbers, outcomes, written


@pytest.mark.proof
@pytest.mark.parametrize("every", [True, False], ids=["every row", "what was not stored"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_report_that_is_torn_anywhere_is_mended(
    engine: Engine, ledger: Ledger, tmp_path: Path, form: Form, *, every: bool
) -> None:
    report, rows = tmp_path / f"report.{form}", in_threes(tmp_path)
    whole = (imported(rows, engine.database, ledger, report, form, every=every), report.read_bytes())
    ends = [place for place, letter in enumerate(whole[1]) if letter == ord("\n")]
    for end in sorted({place + near for place in ends for near in (-9, -1, 0, 1, 2, 20)} & set(range(len(whole[1])))):
        for garbage in (b"", b"\0\0\0"):
            if garbage and end <= whole[1].find(b"\n"):
                continue  # not even its first line is whole: that may be anybody's file
            report.write_bytes(whole[1][:end] + garbage)
            _, tally = imported(rows, engine.database, ledger, report, form, every=every)
            assert (tally, report.read_bytes()) == (whole[0][1], whole[1]), end
    assert numbers(engine) == STORED


def test_a_report_of_another_database_is_not_believed(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    another = database_at(f"sqlite:///{tmp_path / 'another' / 'postback.db'}")
    theirs = another.ledger()
    theirs.open()
    imported(in_threes(tmp_path), another, theirs, report)
    theirs.close()
    assert imported(in_threes(tmp_path), engine.database, ledger, report)[0] == 0
    assert numbers(engine) == STORED
    assert outcomes(report) == OUTCOMES


@pytest.mark.parametrize("other", [b"important\n", b"row,outcome\n", CSV], ids=["a text", "nearly", "the file itself"])
def test_another_file_in_the_place_of_the_report_is_left_alone(tmp_path: Path, other: bytes) -> None:
    (tmp_path / "report.csv").write_bytes(other)
    with pytest.raises(NoReport), Report(ReportPlace(tmp_path / "report.csv", "csv"), "0" * 32):
        pass
    assert (tmp_path / "report.csv").read_bytes() == other


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_the_report_of_another_import_is_left_alone(engine: Engine, ledger: Ledger, tmp_path: Path, form: Form) -> None:
    report = tmp_path / f"report.{form}"
    imported(written(tmp_path), engine.database, ledger, report, form)
    before = report.read_bytes()
    with pytest.raises(NoReport, match="report of another import"):
        imported(written(tmp_path, CSV + b"g,1,,\n", "more.csv"), engine.database, ledger, report, form)
    assert report.read_bytes() == before


def test_two_imports_do_not_write_one_report(tmp_path: Path) -> None:
    with (
        Report(ReportPlace(tmp_path / "report.csv", "csv"), "0" * 32),
        pytest.raises(NoReport, match="another import is writing"),
        Report(ReportPlace(tmp_path / "report.csv", "csv"), "0" * 32),
    ):
        pass


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_report_tells_what_was_not_stored_and_in_its_last_line_how_many_rows_were_read(
    engine: Engine, ledger: Ledger, tmp_path: Path, form: Form
) -> None:
    report = tmp_path / f"report.{form}"
    imported(in_threes(tmp_path), engine.database, ledger, report, form, every=False)
    assert outcomes(report) == [word for word in OUTCOMES if word != "stored"] + ["read"]
    assert "3 stored, 1 duplicate, 2 conflict, 1 invalid_value" in report.read_text().splitlines()[-1]


def test_it_goes_on_after_what_it_counted(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    first = imported(in_threes(tmp_path), engine.database, ledger, report, every=False)
    told = report.read_bytes()
    assert imported(in_threes(tmp_path), engine.database, ledger, report, every=False) == (len(OUTCOMES), first[1])
    assert report.read_bytes() == told


@pytest.mark.parametrize(("begun", "told"), [(True, OUTCOMES), (False, OUTCOMES)])
def test_a_report_of_every_row_stays_one_and_one_of_some_rows_becomes_one_when_it_is_asked_for(
    engine: Engine, ledger: Ledger, tmp_path: Path, *, begun: bool, told: list[str]
) -> None:
    report = tmp_path / "report.csv"
    imported(in_threes(tmp_path), engine.database, ledger, report, every=begun)
    imported(in_threes(tmp_path), engine.database, ledger, report, every=not begun)
    assert outcomes(report) == told
    assert numbers(engine) == STORED
