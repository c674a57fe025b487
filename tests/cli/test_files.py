"""The commands `import`, `export` and `reconcile`: what people and scripts see of them."""

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.verdict import Entry
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

DATABASE = "data/postback.db"
ROWS = "c,value,note\na,1.50,\na,1.5,\nb,x,\n=c,-2,=1+1\n"
TOLD = {"stored": 2, "duplicate": 1, "invalid_value": 1}
COLUMNS = ["sender", "is_test", "click_id", "goal", "transaction_id", "value", "value_micros", "currency", "params"]
COLUMNS += ["received_at", "request_id", "door", "conversion_status"]
COLUMNS += ["current_value", "current_value_micros", "current_currency", "changed_at", "drained_at", "corrected_at"]


@pytest.fixture
def rows(bare: Path) -> Path:
    """Write a file with each family of outcomes, and a formula."""
    (bare / "rows.csv").write_text(ROWS)
    return bare / "rows.csv"


@pytest.fixture
def stored(bare: Path) -> Path:
    """Store two conversions, one of them a refund, and a rejection."""
    entries: list[Entry] = [
        builders.postback("c=a&value=1.50&currency=EUR&note=%3D1%2B1"),
        builders.postback("c=%40b&value=-2"),
        builders.rejection(Outcome.INVALID_VALUE, "refused"),
    ]
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit(entries)
    ledger.close()
    return bare / DATABASE


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM conversion").fetchone()[0])


@pytest.mark.usefixtures("rows")
def test_an_import_tells_what_became_of_each_row_and_again_the_same(service: Command, bare: Path) -> None:
    first = service("import", "rows.csv", "--report", "all", "--json")
    again = service("import", "rows.csv", "--report", "all", "--json")
    answer = first.answer()
    assert (first.code, again.code, first.err) == (1, 1, "")
    assert {name: answer[name] for name in answer if name != "request_id"} == {
        "done": True,
        "resumed_after": 0,
        "report": "rows.csv.report.csv",
        "rows": 4,
        "outcomes": TOLD,
        "rules_of": None,
        "read_as": "commas, UTF-8, decimal points, header in line 1, not used: note",
        "mistakes": {},
        "has_values": True,
    }
    assert again.answer() == {**answer, "resumed_after": 4}
    said = service("import", "rows.csv", "--report", "all").out
    assert "nothing new: all 4 rows were imported before\n4 rows: 3 accepted, 1 rejected" in said
    with (bare / "rows.csv.report.csv").open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    assert [(row["row"], row["outcome"], row["click_id"]) for row in told] == [
        ("1", "stored", "a"),
        ("2", "duplicate", "a"),
        ("3", "invalid_value", "b"),
        ("4", "stored", "'=c"),
    ]
    assert told[2]["detail"] == "'x' is not an amount"
    assert told[2]["hint"].startswith("Send value as a plain number such as 1.50: ")
    assert [row["request_id"] for row in told] == [f"{answer['request_id']}-{number}" for number in range(1, 5)]
    assert count(bare / DATABASE) == 2


@pytest.mark.usefixtures("rows")
def test_an_import_tells_a_person(service: Command) -> None:
    told = [
        "read as: commas, UTF-8, decimal points, header in line 1, not used: note",
        "          2  stored",
        "          1  duplicate",
        "          1  invalid_value",
        "4 rows: 3 accepted, 1 rejected",
    ]
    where = "what was not stored, or has a mistake: rows.csv.report.csv"
    assert service("import", "rows.csv").out.splitlines() == [*told, where]
    every = service("import", "rows.csv", "--report", "every.csv", "--report", "all")
    assert every.out.splitlines() == [*told, "each row: every.csv"]


def test_ndjson_is_known_by_its_name_its_report_is_exact_and_every_row_accepted_is_exit_code_0(
    service: Command, bare: Path
) -> None:
    (bare / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"c":"=c","value":1}\n'))
    ended = service("import", "rows.jsonl.gz", "--json")
    assert (ended.code, ended.answer()["outcomes"]) == (0, {"stored": 1})
    (line,) = (bare / "rows.jsonl.gz.report.ndjson").read_text().splitlines()
    assert json.loads(line) == {
        "row": 1,
        "outcome": "read",
        "detail": "1 stored",
        "hint": "",
        "click_id": None,
        "request_id": ended.answer()["request_id"],
    }


def test_a_dry_run_parses_stores_nothing_and_needs_no_stop(service: Command, rows: Path, bare: Path) -> None:
    assert service("import", rows.name, "--dry-run").code == 1
    assert {path.name for path in bare.iterdir()} == {rows.name}
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ended = service("import", rows.name, "--dry-run", "--json")
    refused = service("import", rows.name)
    ledger.close()
    assert (ended.code, ended.answer()["outcomes"]) == (1, {"accepted": 3, "invalid_value": 1})
    assert (refused.code, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert "stop the service first" in refused.err
    assert count(bare / DATABASE) == 0
    assert {path.name for path in bare.iterdir()} == {rows.name, "data"}


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["."], ".: there is no such file"),
        (["unnamed"], "unnamed: say --format csv or --format ndjson; the name does not"),
        (
            ["headless.csv"],
            "no column is called c (click_id); the header is 'x, value': say which one it is with --columns THEIRS=c",
        ),
        (["torn.csv.gz"], "cannot read torn.csv.gz: Compressed file ended before the end-of-stream marker was reached"),
        (["rows.csv", "--received-at", "when"], "no column is called when; the header is 'c, value, note'"),
        (
            ["rows.csv", "--report", "headless.csv"],
            "headless.csv is no report of an import: name another file with --report",
        ),
        (
            ["rows.csv", "--report", "no/where.csv"],
            "cannot write no/where.csv: No such file or directory\nthe same command goes on where it stopped",
        ),
    ],
)
def test_what_cannot_be_imported_ends_with_2_and_says_why(
    service: Command, bare: Path, arguments: list[str], reason: str
) -> None:
    (bare / "unnamed").write_text(ROWS)
    (bare / "headless.csv").write_text("x,value\na,1\n")
    (bare / "torn.csv.gz").write_bytes(gzip.compress(ROWS.encode())[:-9])
    ended = service("import", *arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", reason + "\n")
    assert not (bare / DATABASE).exists() or count(bare / DATABASE) == 0


@pytest.mark.usefixtures("stored")
def test_an_export_for_a_spreadsheet_holds_no_formula_and_keeps_numbers(service: Command, bare: Path) -> None:
    ended = service("export", "--output", "all.csv")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    with (bare / "all.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == COLUMNS
    assert [row[2] for row in rows] == ["'@b", "a"]
    assert rows[0][5:9] == ["-2", "-2000000", "", "{}"]
    assert rows[1][5:10] == ["1.50", "1500000", "EUR", '{"note":"=1+1"}', "2026-01-02T03:04:05.678901Z"]
    assert {path.name for path in bare.iterdir()} == {"data", "all.csv"}


@pytest.mark.usefixtures("stored")
def test_an_export_for_a_program_is_exact(service: Command) -> None:
    ended = service("export", "--format", "ndjson", "--since", "2026-01-02", "--until", "2026-01-03")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [list(row) for row in rows] == [COLUMNS] * 2
    assert [(row["click_id"], row["value"], row["is_test"]) for row in rows] == [
        ("@b", "-2", False),
        ("a", "1.50", False),
    ]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("filters", "found"),
    [(["--click-id", "a"], 1), (["--sender", "ezmob"], 2), (["--sender", "voluum"], 0), (["--until", "2026-01-02"], 0)],
)
def test_filters_choose_and_an_export_of_nothing_has_its_header(
    service: Command, filters: list[str], found: int
) -> None:
    header, *rows = csv.reader(io.StringIO(service("export", *filters).out))
    assert (header, len(rows)) == (COLUMNS, found)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("listed", "code", "counts"),
    [
        ("c,value\na,1.5\n@b,-2.00\n", 0, {"matched": 2}),
        (
            "c,value\na,2\nrefused,7\n?,x\n",
            1,
            {"value_differs": 1, "missing_here": 1, "missing_there": 1, "unreadable": 1},
        ),
    ],
)
def test_reconciling_counts_sums_up_and_ends_with_the_answer(
    service: Command, bare: Path, listed: str, code: int, counts: dict[str, int]
) -> None:
    (bare / "partner.csv").write_text(listed)
    ended = service("reconcile", "partner.csv", "--json")
    answer = ended.answer()
    assert (ended.code, ended.err) == (code, "")
    kinds = ("matched", "value_differs", "status_differs", "missing_here", "missing_there", "unpaid", "unreadable")
    assert list(answer) == ["since", "until", "read_as", "columns", *kinds]
    totals = {kind: answer[kind] for kind in kinds}
    assert {kind: it["count"] for kind, it in totals.items() if it["count"]} == counts  # type: ignore[index]  # an object
    if code == 0:
        assert totals["matched"] == {"count": 2, "here": {"": "-2.00", "EUR": "1.50"}, "there": {"": "-0.50"}}
    else:
        assert totals["missing_here"] == {"count": 1, "here": {}, "there": {"": "7.00"}}


@pytest.mark.usefixtures("stored")
def test_the_differences_are_listed_where_that_is_wanted(service: Command, bare: Path) -> None:
    (bare / "partner.csv").write_text("c,value\na,2\nrefused,7\n=x,1\n")
    ended = service("reconcile", "partner.csv", "--output", "differences.csv")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        "read as: commas, UTF-8, decimal points, header in line 1",
        "compared: their c as click_id, their value as value",
        "          0  matched",
        "          1  value differs  here 1.50 EUR  there 2.00 (no currency)",
        "          2  missing here   there 8.00 (no currency)",
        "          1  missing there  here -2.00 (no currency)",
        "          0  unreadable",
    ]
    with (bare / "differences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(it["difference"], it["click_id"], it["value_here"], it["value_there"], it["row"]) for it in rows] == [
        ("missing_here", "'=x", "", "1.00", "3"),
        ("missing_there", "'@b", "-2.00", "", ""),
        ("value_differs", "a", "1.50", "2.00", "1"),
        ("missing_here", "refused", "", "7.00", "2"),
    ]
    assert rows[3]["explanation"] == "rejected: invalid_value, 2026-01-02 03:04:05 UTC: 'x' is not an amount"
    listed = service("reconcile", "partner.csv", "--format", "ndjson")
    assert [json.loads(line)["click_id"] for line in listed.out.splitlines()] == ["=x", "@b", "a", "refused"]
    assert "missing here" in listed.err


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["partner.csv"], "say with --click-id-column which column it is; there are x, value"),
        (["partner.csv", "--click-id-column", "y"], "no column is called y; there are x, value"),
        (["partner.csv", "--since", "soon"], "--since soon: write a time"),
    ],
)
def test_what_cannot_be_reconciled_ends_with_2_and_says_why(
    service: Command, bare: Path, arguments: list[str], reason: str
) -> None:
    (bare / "partner.csv").write_text("x,value\na,1\n")
    ended = service("reconcile", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(reason)


@pytest.mark.parametrize("command", ["export", "reconcile partner.csv"])
def test_without_a_database_there_is_no_answer_and_none_is_made(service: Command, bare: Path, command: str) -> None:
    (bare / "partner.csv").write_text("c,value\n")
    ended = service(*command.split())
    assert (ended.code, ended.err) == (2, f"there is no database at {Path(DATABASE).absolute()}\n")
    assert [path.name for path in bare.iterdir()] == ["partner.csv"]


def test_a_changed_policy_stores_no_file_again_and_it_is_said(service: Command, bare: Path) -> None:
    (bare / "rows.csv").write_text(ROWS)
    first, stored = service("import", "rows.csv", "--json").answer(), count(bare / DATABASE)
    service("senders", "add", "ezmob", "--preset", "ezmob", "--duplicates", "sum")
    for arguments in (("--report", "again.csv"), ("--dry-run",)):
        again = service("import", "rows.csv", *arguments)
        assert again.out.splitlines()[1].startswith("by the sender's rules of 20")
        assert "when this import was begun: they have changed since" in again.out
    assert count(bare / DATABASE) == stored
    told = service("import", "rows.csv", "--json").answer()
    assert told["outcomes"] == first["outcomes"]
    assert str(told["rules_of"]).endswith("Z")
