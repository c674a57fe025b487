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
