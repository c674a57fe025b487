"""Files that commands write: for this user only, and through no link that somebody planted."""

from pathlib import Path

import pytest

from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command


@pytest.fixture
def stored(bare: Path) -> None:
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    ledger.commit([builders.postback("c=a&value=1.50")])
    ledger.close()


@pytest.mark.usefixtures("stored")
def test_an_export_writes_through_no_link_and_for_this_user_only(service: Command, bare: Path) -> None:
    (bare / "victim").write_text("precious")
    for planted in ("w.csv.part", "link.csv"):
        (bare / planted).symlink_to("victim")
    for name in ("w.csv", "a?b #%.csv", "-x.csv"):
        assert service("export", "--output", name).code == 0
        assert (bare / name).stat().st_mode & 0o777 == 0o600
    ended = service("export", "--output", "link.csv")
    assert (ended.code, ended.out) == (2, "")
    assert "it is a link or a device" in ended.err
    assert (bare / "victim").read_text() == "precious"
    assert {path.name for path in bare.iterdir()} == {
        *("data", "victim", "w.csv.part", "link.csv"),
        *("w.csv", "a?b #%.csv", "-x.csv"),
    }


def test_a_report_is_written_through_no_link_and_for_this_user_only(service: Command, bare: Path) -> None:
    (bare / "rows.csv").write_text("c,value\na,1\nb,x\n")
    (bare / "victim").write_text("")
    (bare / "rows.csv.report.csv").symlink_to("victim")
    ended = service("import", "rows.csv")
    assert (ended.code, ended.out) == (2, "")
    assert "rows.csv.report.csv is a link or no file" in ended.err
    assert (bare / "victim").read_text() == ""
    assert service("import", "rows.csv", "--report", "r#1?.csv").code == 1
    assert (bare / "r#1?.csv").stat().st_mode & 0o777 == 0o600
