"""The commands `rejected` and `replay`: what people and scripts see of them, on a file that nobody serves."""

import base64
import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.verdict import Entry
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

DATABASE = "data/postback.db"
FORM = "application/x-www-form-urlencoded"
HOSTILE = "=cmd\x1b]0;x\x07\u202e"


@pytest.fixture
def stored(bare: Path) -> Path:
    """Keep three rejections: one that today's rules accept, one that they do not, and a hostile one."""
    entries: list[Entry] = [
        Rejection(builders.raw("c=fixed&value=2"), "ezmob", Outcome.INVALID_VALUE, "an older rule", "fixed"),
        builders.rejection(Outcome.INVALID_VALUE, "broken"),
        Rejection(
            builders.posted(b"c=\x1b\xff", FORM, received_at=builders.RECEIVED_AT + timedelta(hours=1)),
            None,
            Outcome.UNAUTHENTICATED,
            "+1",
            HOSTILE,
        ),
    ]
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit(entries)
    ledger.close()
    return bare / DATABASE


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.usefixtures("stored")
def test_the_list_is_newest_first_and_says_how_many_more_there_are(service: Command) -> None:
    ended = service("rejected", "list", "--limit", "2")
    assert (ended.code, ended.err) == (0, "")
    header, newest, next_newest, rest = ended.out.splitlines()
    assert header == "received_at (UTC)    outcome  sender  click_id  detail  [request_id]"
    assert newest.startswith("2026-01-02 04:04:05  unauthenticated  (unknown)")
    assert next_newest.startswith("2026-01-02 03:04:05  invalid_value  ezmob  broken")
    sums = "3 in all: 2 invalid_value, 1 unauthenticated"
    assert rest == f"1 more: --limit, or narrow it down; {sums}"
    assert service("rejected", "list").out.splitlines()[-1] == sums
    assert service("rejected", "list", "--click-id", "nothing").out == "0 in all\n"


@pytest.mark.usefixtures("stored")
def test_the_list_in_json_holds_whole_rows(service: Command) -> None:
    answer = service("rejected", "list", "--json", "--limit", "1").answer()
    assert answer["more"] == 2
    rows = answer["rejected"]
    assert isinstance(rows, list)
    (row,) = rows
    assert (row["outcome"], row["status"], row["click_id"]) == ("unauthenticated", 401, HOSTILE)
    assert row["received_at"] == "2026-01-02T04:04:05.678901Z"
    assert base64.b64decode(row["raw"]).endswith(b"c=\x1b\xff")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("filters", "click_ids"),
    [
        (["--outcome", "unauthenticated"], [HOSTILE]),
        (["--outcome", "invalid_value", "--click-id", "fixed"], ["fixed"]),
        (["--sender", "ezmob"], ["broken", "fixed"]),
        (["--since", "2026-01-02T04:00"], [HOSTILE]),
        (["--until", "2026-01-02T05:00+01:00"], ["broken", "fixed"]),
        (["--until", "2026-01-02"], []),
        (["--since", "2h"], []),
    ],
)
def test_filters_choose(service: Command, filters: list[str], click_ids: list[str]) -> None:
    rows = service("rejected", "list", "--json", *filters).answer()["rejected"]
    assert isinstance(rows, list)
    assert [row["click_id"] for row in rows] == click_ids


@pytest.mark.parametrize("command", [["rejected", "list"], ["rejected", "export"], ["replay", "--dry-run"]])
def test_wrong_filters_end_with_2_and_a_line_for_each(service: Command, command: list[str]) -> None:
    ended = service(*command, "--outcome", "stored", "--since", "soon", "--until", "99999999w")
    assert (ended.code, ended.out) == (2, "")
    assert [line.split(":")[0] for line in ended.err.splitlines()] == [
        "--outcome stored",
        "--since soon",
        "--until 99999999w",
    ]


@pytest.mark.usefixtures("stored")
def test_show_tells_everything_and_nothing_of_it_moves_the_cursor(service: Command) -> None:
    ended = service("rejected", "show", "3")
    assert (ended.code, ended.err) == (0, "")
    assert all(line.isprintable() for line in ended.out.splitlines())
    assert r"=cmd\x1b]0;x\x07\u202e" in ended.out
    assert r"  | c=\x1b\xff" in ended.out
    assert Outcome.UNAUTHENTICATED.hint in ended.out


def test_a_pixel_is_told_with_the_status_that_its_browser_got(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.rejection(door="pixel", path="/pixel.gif")])
    ledger.close()
    rows = service("rejected", "list", "--json").answer()["rejected"]
    assert isinstance(rows, list)
    (row,) = rows
    assert (row["door"], row["outcome"], row["status"]) == ("pixel", "invalid_value", 200)
    assert "invalid_value (HTTP 200)" in service("rejected", "show", row["request_id"]).out


@pytest.mark.usefixtures("stored")
def test_show_of_what_is_not_kept_ends_with_1(service: Command) -> None:
    ended = service("rejected", "show", "nobody")
    assert (ended.code, ended.out) == (1, "")
    assert "nobody" in ended.err


@pytest.mark.usefixtures("stored")
def test_an_export_for_a_spreadsheet_holds_no_formula(service: Command, bare: Path) -> None:
    assert service("rejected", "export", "--output", "week.csv").code == 0
    assert {path.name for path in bare.iterdir()} == {"data", "week.csv"}
    with (bare / "week.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["raw_encoding"] for row in rows] == ["base64", "text", "text"]
    assert (rows[0]["click_id"], rows[0]["detail"]) == (f"'{HOSTILE}", "'+1")
    assert rows[2]["raw"] == "GET /postback?c=fixed&value=2"
    assert rows[2]["received_at"] == "2026-01-02T03:04:05.678901Z"


@pytest.mark.usefixtures("stored")
def test_an_export_for_a_program_is_exact(service: Command) -> None:
    ended = service("rejected", "export", "--format", "ndjson")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["click_id"] for row in rows] == [HOSTILE, "broken", "fixed"]
    assert base64.b64decode(rows[0]["raw"]).endswith(b"c=\x1b\xff")


@pytest.mark.usefixtures("stored")
def test_an_export_of_nothing_still_has_its_header(service: Command) -> None:
    (header,) = csv.reader(io.StringIO(service("rejected", "export", "--click-id", "nobody").out))
    assert header[:3] == ["id", "received_at", "outcome"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("target", "reason"), [("no/such/folder.csv", "No such file or directory"), ("folder", "Is a directory")]
)
def test_an_export_that_cannot_be_written_ends_with_2_and_leaves_no_part(
    service: Command, bare: Path, target: str, reason: str
) -> None:
    (bare / "folder").mkdir()
    ended = service("rejected", "export", "--output", target)
    assert (ended.code, ended.err.splitlines()) == (2, [f"cannot write {target}: {reason}"])
    assert {path.name for path in bare.iterdir()} == {"data", "folder"}


KNOWN = {"sender": None, "key_id": None, "client_ip": None, "key_sender": None, "example": None}
WRONG = {"request_id": ANY, "why": "'x' is not an amount"}
STRANGER = {**KNOWN, "client_ip": "127.0.0.1"}
DIFFERENCE = [
    {"before": "invalid_value", "after": "stored", "changes": True, "count": 1, **KNOWN},
    {"before": "invalid_value", "after": "invalid_value", "changes": False, "count": 1, **KNOWN, "example": WRONG},
    {"before": "unauthenticated", "after": "unauthenticated", "changes": False, "count": 1, **STRANGER},
]


def test_a_dry_run_tells_the_difference_and_makes_none(service: Command, stored: Path) -> None:
    ended = service("replay", "--dry-run", "--json")
    assert (ended.code, ended.answer()) == (0, {"done": False, "steps": DIFFERENCE})
    assert query(stored, "SELECT count(*) FROM conversion") == [(0,)]


def test_where_nobody_can_be_asked_yes_must_be_said(service: Command, stored: Path) -> None:
    ended = service("replay")
    assert ended.code == 2
    assert "invalid_value → stored" in ended.out
    assert "--yes" in ended.err
    assert query(stored, "SELECT count(*) FROM replay") == [(0,)]


def test_a_replay_is_done_once_and_recorded(service: Command, stored: Path) -> None:
    assert service("replay", "--yes", "--by", "somebody", "--json").answer() == {"done": True, "steps": DIFFERENCE}
    again = service("replay", "--yes", "--json").answer()
    assert again == {"done": True, "steps": DIFFERENCE[1:]}
    assert query(stored, "SELECT click_id, received_at, door FROM conversion") == [
        ("fixed", "2026-01-02 03:04:05.678901", "replay")
    ]
    assert query(stored, "SELECT outcome, replayed_by FROM replay") == [("stored", "somebody")]
    shown = service("rejected", "show", "1", "--json").answer()
    replay, later = shown["replay"], shown["later"]
    assert isinstance(replay, dict)
    assert isinstance(later, list)
    assert (replay["outcome"], replay["replayed_by"], shown["replay_outcome"]) == ("stored", "somebody", "stored")
    assert [(one["outcome"], one["request_id"]) for one in later] == [("stored", replay["request_id"])]


@pytest.mark.parametrize(("answer", "code", "rows"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
def test_a_person_is_asked(at_terminal: Command, stored: Path, answer: str, code: int, rows: int) -> None:
    ended = at_terminal("replay", typed=answer)
    assert ended.code == code, ended.err
    assert query(stored, "SELECT count(*) FROM conversion") == [(rows,)]


@pytest.mark.parametrize(("door", "told"), [("import", "an import"), ("replay", "a replay")])
def test_what_nobody_was_answered_has_no_status(service: Command, bare: Path, door: str, told: str) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.rejection(door=door)])
    ledger.close()
    shown = service("rejected", "show", "1").out.splitlines()
    assert f"outcome      invalid_value (no HTTP answer: it came from {told})" in shown
    assert service("rejected", "show", "1", "--json").answer()["status"] is None
    (arrival,) = json.loads(service("lookup", "click-1", "--json").out)["arrivals"]
    assert (arrival["door"], arrival["status"]) == (door, None)
    assert f"{door}  invalid_value: " in service("lookup", "click-1").out


def test_of_a_batch_that_was_refused_as_a_whole_it_is_said_what_to_do(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.rejection(Outcome.ILLEGAL_TRANSITION, door="batch")])
    ledger.close()
    assert "never; a whole batch is not replayed: its sender mends it" in service("rejected", "show", "1").out
    assert "1 stay as they are: `rejected show` says why" in service("replay", "--dry-run").out


def test_a_file_that_is_served_is_not_replayed_and_says_what_to_do(service: Command, stored: Path) -> None:
    ledger = SqliteLedger(stored)
    ledger.open()
    refused = service("replay", "--yes")
    foreseen = service("replay", "--dry-run")
    ledger.close()
    assert (refused.code, refused.out) == (2, "")
    assert "stop the service first" in refused.err
    assert foreseen.code == 0
    assert query(stored, "SELECT count(*) FROM replay") == [(0,)]


@pytest.mark.parametrize("command", ["rejected list", "rejected show 1", "rejected export", "replay --yes"])
def test_without_a_database_there_is_no_answer_and_none_is_made(service: Command, bare: Path, command: str) -> None:
    ended = service(*command.split())
    assert ended.code == 2
    assert f"there is no database at {Path(DATABASE).absolute()}" in ended.err
    assert list(bare.iterdir()) == []
