"""The options that say how a spreadsheet is read: `import` and `reconcile` take them, and say what they understood."""

import csv
import json
from pathlib import Path

import pytest

from tests.support.commands import Command

GERMAN = "Bericht Januar;;\r\n\r\nKlick-ID;Umsatz;Datum\r\n"
GERMAN += "a;1.234,50 €;31.01.2026\r\nb;2,50 €;1.2.2026\r\nSumme;1.237,00 €;\r\n"
TOLD = "semicolons, cp1252, decimal commas, currencies from the amounts, "
NAMES = ("--columns", "Klick-ID=click_id", "--columns", "Umsatz=value")


@pytest.fixture
def sheet(bare: Path) -> Path:
    """Write a file as Excel writes it in Germany, with a title and a sum."""
    (bare / "Januar.csv").write_bytes(GERMAN.encode("cp1252"))
    return bare / "Januar.csv"


@pytest.mark.usefixtures("sheet")
def test_a_spreadsheet_is_rehearsed_imported_and_reconciled(service: Command) -> None:
    names = "header in line 3, Klick-ID as c, Umsatz as value, 1 total row left out"
    given = ("import", "Januar.csv", *NAMES, "--received-at", "Datum", "--dates", "dmy")
    for more in (("--dry-run",), ()):
        ended = service(*given, *more)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[0] == f"read as: {TOLD}dates as dmy, {names}"
    ended = service("reconcile", "Januar.csv", *NAMES)
    assert (ended.code, ended.out.splitlines()[:3]) == (
        0,
        [
            f"read as: {TOLD}header in line 3, not used: Datum, 1 total row left out",
            "compared: their Klick-ID as click_id, their Umsatz as value",
            "          2  matched        here 1237.00 EUR  there 1237.00 EUR",
        ],
    )
    told = service("export").out.splitlines()
    assert (
        '"{""Datum"":""2026-01-31T00:00:00"",""value_as_sent"":""1.234,50 €"",""Datum_as_sent"":""31.01.2026""}"'
        in told[1]
    )


@pytest.mark.usefixtures("sheet")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            (),
            "no column is called c (click_id); no column is called value (value); the header is 'Klick-ID, Umsatz",
        ),
        (
            (*NAMES, "--received-at", "Datum"),
            "Datum is '31.01.2026', and nobody can tell its day from its month: say --dates",
        ),
        ((*NAMES, "--delimiter", "ab"), "--delimiter ab: one character, or comma, semicolon, tab, pipe"),
        ((*NAMES, "--encoding", "nobody"), "--encoding nobody: no encoding is called that"),
        ((*NAMES, "--columns", "Datum"), "--columns Datum: write THEIRS=OURS"),
        ((*NAMES, "--columns", "Preis=value"), "no column is called Preis; there are Klick-ID, Umsatz, Datum"),
        ((*NAMES, "--report", "a.csv", "--report", "b.csv"), "--report b.csv: a.csv was named already"),
    ],
)
def test_what_cannot_be_understood_ends_with_2_and_says_what_to_say(
    service: Command, arguments: tuple[str, ...], reason: str
) -> None:
    ended = service("import", "Januar.csv", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(reason)


def test_what_is_said_of_a_spreadsheet_is_not_for_ndjson(service: Command, bare: Path) -> None:
    (bare / "rows.ndjson").write_text('{"c":"a","value":1}\n')
    ended = service("import", "rows.ndjson", "--delimiter", ";")
    assert (ended.code, ended.err) == (2, "rows.ndjson: what is said of a spreadsheet is for CSV, and this is NDJSON\n")


@pytest.mark.parametrize("name", ["rows.tsv", "rows.txt", "rows.csv"])
def test_a_spreadsheet_is_known_by_its_name(service: Command, bare: Path, name: str) -> None:
    (bare / name).write_text("c\tvalue\na\t1,5\n")
    ended = service("import", name)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "read as: tabs, UTF-8, decimal commas, header in line 1")


def test_options_overrule_what_a_file_looks_like(service: Command, bare: Path) -> None:
    (bare / "theirs.csv").write_bytes('c;value;note\na;"1,234";gr\xf6\xdfer\n'.encode("cp1252"))
    service("import", "theirs.csv", "--numbers", "comma")
    for numbers, code in (("comma", 0), ("point", 1)):
        options = ("--delimiter", "semicolon", "--encoding", "cp1250", "--numbers", numbers)
        ended = service("reconcile", "theirs.csv", *options, "--json")
        assert ended.code == code
        assert ended.answer()["read_as"] == f"semicolons, cp1250, decimal {numbers}s, header in line 1, not used: note"


def test_a_senders_own_numbers_count(service: Command, bare: Path) -> None:
    service("senders", "add", "partner", "--preset", "ezmob", "--numbers", "comma")
    (bare / "theirs.csv").write_text("c;value\na;1.234\n")
    assert service("import", "theirs.csv", "--sender", "partner").code == 0
    ended = service("reconcile", "theirs.csv", "--sender", "partner", "--json").answer()
    assert ended["matched"] == {"count": 1, "here": {"": "1234.00"}, "there": {"": "1234.00"}}


def test_click_ids_alone_are_reconciled(service: Command, bare: Path) -> None:
    (bare / "rows.csv").write_text("c,value\na,1\nb,2\n")
    (bare / "ids.txt").write_text("a\nz\n")
    service("import", "rows.csv")
    ended = service("reconcile", "ids.txt")
    assert (ended.code, ended.out.splitlines()) == (
        1,
        [
            "read as: commas, UTF-8, no header",
            "compared: their click_id as click_id",
            "          1  matched        here 1.00 (no currency)",
            "          0  value differs",
            "          1  missing here",
            "          1  missing there  here 2.00 (no currency)",
            "          0  unreadable",
        ],
    )


@pytest.mark.parametrize(
    ("listed", "given", "read_as"),
    [
        ("a\nz\nb\na\nx\n", "", "commas, UTF-8, no header"),
        (
            "sep=;\nClick ID;Value\na;1\nz;1\nb;1\na;1\nx;1\nSumme;5\n",
            "",
            "semicolons, UTF-8, header in line 2, not used: Value, 1 total row left out",
        ),
        (
            "Partner;Klick;Umsatz\np;a;1,234\np;z;\np;b;x\np;x;1\n",
            "",
            "semicolons, UTF-8, header in line 1, not used: Partner, Umsatz",
        ),
        ("Clickid,Name\na,A\nz,Z\nb,B\nx,X\n", "", "commas, UTF-8, header in line 1, not used: Name"),
        ("Klick-ID\na\nz\nb\nx\n", "", "commas, UTF-8, header in line 1"),
        ("Nummer\na\nz\nb\nx\n", "--click-id-column=Nummer", "commas, UTF-8, header in line 1"),
        ("Nummer,c\na,1\nz,1\nb,1\nx,1\n", "--columns=Nummer=click_id", "commas, UTF-8, header in line 1, not used: c"),
    ],
)
def test_a_list_of_click_ids_is_looked_up(service: Command, bare: Path, listed: str, given: str, read_as: str) -> None:
    (bare / "rows.csv").write_text("c,value,at\na,1,2026-01-02\nb,2,2026-01-02\nb,2,2026-01-02\nx,no,2026-01-02\n")
    service("import", "rows.csv", "--received-at", "at")
    (bare / "ids.csv").write_text(listed)
    ended = service("lookup", "--file", "ids.csv", *given.split())
    assert (ended.code, ended.err, ended.out.splitlines()) == (
        1,
        "",
        [
            "a: stored, 2026-01-02 00:00:00 UTC",
            "z: NOT stored: never arrived",
            "b: stored, 2026-01-02 00:00:00 UTC",
            "x: NOT stored: rejected: invalid_value, 2026-01-02 00:00:00 UTC: 'no' is not an amount",
            f"read as: {read_as}",
            "4 click ids: 2 stored, 2 not",
        ],
    )
    answer = service("lookup", "--file", "ids.csv", *given.split(), "--json").answer()
    assert (answer["stored"], answer["missing"], answer["nameless"]) == (2, 2, 0)
    assert isinstance(answer["click_ids"], list)
    assert answer["click_ids"][1] == {"click_id": "z", "stored": False, "since": None, "reason": "never arrived"}


def test_rows_without_a_click_id_are_counted(service: Command, bare: Path) -> None:
    (bare / "rows.csv").write_text("c,value\na,1\n")
    service("import", "rows.csv")
    (bare / "ids.csv").write_text("click_id,value\na,1\n,2\n")
    ended = service("lookup", "--file", "ids.csv")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "1 click ids: 1 stored, 0 not; 1 rows have no click id")


@pytest.mark.parametrize("arguments", [(), ("a", "--file", "ids.csv")])
def test_a_click_id_or_a_list_is_looked_up(service: Command, bare: Path, arguments: tuple[str, ...]) -> None:
    (bare / "ids.csv").write_text("a\n")
    ended = service("lookup", *arguments)
    assert (ended.code, ended.err) == (2, "say a click id, or --file with a list of them\n")


def test_columns_of_a_list_are_said_with_a_list(service: Command) -> None:
    ended = service("lookup", "a", "--click-id-column", "Klick")
    assert (ended.code, ended.out) == (2, "")
    assert "say --file, too" in ended.err


def test_a_list_without_a_column_of_click_ids_says_which_option_names_it(service: Command, bare: Path) -> None:
    (bare / "ids.csv").write_text("Partner;Nummer\np;a\n")
    ended = service("lookup", "--file", "ids.csv")
    assert (ended.code, ended.err) == (
        2,
        "say with --click-id-column which column it is; there are Partner, Nummer\n",
    )


def test_a_date_that_is_none_says_in_which_order_it_was_read_and_how_to_write_it(service: Command, bare: Path) -> None:
    (bare / "rows.csv").write_text("c;value;Datum\na;1;31.1.2026\nb;2;31.13.2026\n")
    told = "Datum is no ISO 8601 time: '31.13.2026', and no date as dmy"
    service("import", "rows.csv", "--received-at", "Datum", "--dates", "dmy", "--report", "report.ndjson")
    row = json.loads((bare / "report.ndjson").read_text().splitlines()[0])
    assert (row["row"], row["outcome"], row["detail"]) == (2, "malformed_body", told)
    assert row["hint"] == (
        "Write Datum as ISO 8601, such as 2026-01-31T14:05:00Z, or as a date such as 31.1.2026; not in the future."
    )
    found = service("lookup", "b").out.splitlines()
    assert told in found[1]
    assert found[-1].endswith("Mend the row as its detail says, and import it again in a file of its own.")
    shown = service("rejected", "show", row["request_id"], "--json").answer()
    assert shown["hint"] == "Mend the row as its detail says, and import it again in a file of its own."


@pytest.mark.parametrize("command", ["import", "reconcile"])
def test_a_refused_header_is_shown_in_its_letters_and_moves_no_cursor(
    service: Command, bare: Path, command: str
) -> None:
    (bare / "rows.csv").write_text("Nummer;Währung;a\x1b[2J\nx;EUR;1\n", encoding="utf-8")
    ended = service(command, "rows.csv")
    assert (ended.code, ended.out) == (2, "")
    assert "Nummer, Währung, a\\x1b[2J" in ended.err


def test_a_dry_run_reports_what_would_become_of_each_row_and_an_import_replaces_that(
    service: Command, bare: Path
) -> None:
    (bare / "rows.csv").write_text("c,value\na,1.50\na,1.5\nb,x\nc,-2\n")

    def told() -> list[tuple[str, str, str]]:
        with (bare / "told.csv").open(encoding="utf-8", newline="") as file:
            return [(row["row"], row["outcome"], row["request_id"]) for row in csv.DictReader(file)]

    some, every = ("--report", "told.csv"), ("--report", "told.csv", "--report", "all")
    assert service("import", "rows.csv", "--dry-run", *some).out.splitlines()[-1] == "what would be rejected: told.csv"
    assert told() == [("3", "invalid_value", "dry-run"), ("4", "read", "dry-run")]
    assert service("import", "rows.csv", "--dry-run", *every).out.splitlines()[-1] == "each row: told.csv"
    words = ["accepted", "accepted", "invalid_value", "accepted"]
    assert told() == [(str(number), word, "dry-run") for number, word in enumerate(words, 1)]
    assert service("import", "rows.csv", *every, "--json").answer()["resumed_after"] == 0
    assert [word for _, word, _ in told()] == ["stored", "duplicate", "invalid_value", "stored"]
    refused = service("import", "rows.csv", "--dry-run", *every)
    assert (refused.code, refused.err) == (
        2,
        "told.csv is the report of an import: name another file with --report\n",
    )
    assert len(told()) == 4
