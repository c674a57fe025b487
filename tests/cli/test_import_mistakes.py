"""The command `import` tells the mistakes in rows that it accepts."""

from pathlib import Path

import pytest

from tests.support.commands import Command


def test_an_import_tells_a_person_and_a_script_the_mistakes_in_accepted_rows(
    service: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTBACK_PRESET", "keitaro")
    (bare / "rows.csv").write_text("subid,payout,profit\na,1,\nb,,10\nc,,11\n")
    advice = "Send the value as payout: profit is what others call it. Or have profit set up for keitaro."
    line = f"          2  accepted with the mistake other_name (row 2): {advice}"
    for options, word in ((["--dry-run"], "accepted"), ([], "stored")):
        told = service("import", "rows.csv", *options)
        assert (told.code, told.out.splitlines()[1:3]) == (0, [f"          3  {word}", line])
        summed = service("import", "rows.csv", "--json", *options).answer()["mistakes"]
        assert summed == {"other_name": {"rows": 2, "first_row": 2, "hint": advice}}


def test_an_import_without_a_column_for_the_value_says_that_its_rows_count_0(
    service: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTBACK_PRESET", "keitaro")
    (bare / "rows.csv").write_text("subid,Umsatz\na,1\nb,10\n")
    line = "no column is read as the value: 2 accepted rows count 0 (--columns THEIRS=value)"
    for options in (["--dry-run"], []):
        assert service("import", "rows.csv", *options).out.splitlines()[1] == line
        assert service("import", "rows.csv", "--json", *options).answer()["has_values"] is False
    assert "count 0" not in service("import", "rows.csv", "--dry-run", "--columns", "Umsatz=payout").out
