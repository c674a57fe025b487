"""The commands `erase` and `deletions`: what people and scripts see of them, on a file that nobody serves."""

import hashlib
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.spool.journal import Journal
from service.storage.location import SqliteFile
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

DATABASE = "data/postback.db"
PERSON = "person-1"
DIGEST = hashlib.sha256(PERSON.encode()).hexdigest()
DELETED = {"conversion": 1, "status_change": 0, "duplicate": 1, "rejected_postback": 1, "replay": 0}
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
CAME = "2026-01-02T03:04:05.678901Z"


@pytest.fixture
def stored(bare: Path) -> Path:
    """Keep a person's conversion, its repetition, raw input that names it, and somebody else's conversion."""
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback(f"c={click_id}&value=1") for click_id in (PERSON, PERSON, "another")])
    ledger.commit([Rejection(builders.raw(f"c=x&c={PERSON}"), None, Outcome.REPEATED_PARAMETER, "", None)])
    database = SqliteDatabase(SqliteFile(bare / DATABASE))
    database.deletions().clock.accept(datetime.now(UTC))
    database.close()
    ledger.close()
    return bare / DATABASE


def conversions(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT click_id FROM conversion ORDER BY 1")]


def test_a_dry_run_shows_what_would_go_and_changes_nothing(service: Command, stored: Path) -> None:
    ended = service("erase", PERSON, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    *rows, summary = ended.out.splitlines()
    assert [row.rpartition("  [")[0] for row in rows] == [
        f"{CAME}  conversion  stored",
        f"{CAME}  duplicate  duplicate",
        f"{CAME}  rejected_postback  repeated_parameter  (its raw input names it as parameter c)",
    ]
    assert summary == f"{PERSON}: 1 of conversion, 1 of duplicate, 1 of rejected_postback"
    answer = service("erase", PERSON, "--dry-run", "--json").answer()
    assert (answer["done"], answer["deleted"], answer["click_id_sha256"]) == (False, {}, DIGEST)
    assert isinstance(answer["rows"], list)
    assert {frozenset(row) for row in answer["rows"]} == {
        frozenset({"table", "request_id", "received_at", "outcome", "click_id", "parameter"})
    }
    assert conversions(stored) == ["another", PERSON]


def test_an_erasure_is_done_and_listed_without_the_click_id(service: Command, stored: Path) -> None:
    ended = service("erase", PERSON, "--yes", "--by", "maria")
    assert (ended.code, ended.err) == (0, "")
    told = "1 of conversion, 1 of duplicate, 1 of rejected_postback"
    erased, left = ended.out.splitlines()
    assert erased == f"erased: {told}; noted as click_id_sha256 {DIGEST}"
    assert "files that were imported and their FILE.report.csv" in left
    assert conversions(stored) == ["another"]
    listed = service("deletions", "--json").answer()["deletions"]
    assert isinstance(listed, list)
    assert {row["table"]: row["rows"] for row in listed} == {table: rows for table, rows in DELETED.items() if rows}
    assert {(row["reason"], row["deleted_by"], row["click_id_sha256"]) for row in listed} == {
        ("erase", "maria", DIGEST)
    }
    assert {row["first_received_at"] for row in listed} == {row["last_received_at"] for row in listed} == {CAME}
    lines = service("deletions").out.splitlines()
    assert len(lines) == 3
    assert all("erase  1 of " in line and line.endswith(f"maria  {DIGEST}") for line in lines)
    assert len(service("deletions", "--limit", "1").out.splitlines()) == 1
    assert service("deletions", "--click-id", "another").out == "nothing was deleted\n"


@pytest.mark.usefixtures("stored")
def test_lookup_says_that_a_click_id_was_erased(service: Command, bare: Path) -> None:
    service("erase", PERSON, "--yes")
    ended = service("lookup", PERSON)
    assert (ended.code, ended.err) == (1, "")
    assert re.fullmatch(rf"{PERSON}: erased, {MOMENT} UTC, and nothing of it is kept \(none had .*\)\n", ended.out)
    assert str(service("lookup", PERSON, "--json").answer()["erased_at"]).endswith("Z")
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback(f"c={PERSON}&value=1", received_at=datetime.now(UTC))])
    ledger.close()
    first, erased, *_ = service("lookup", PERSON).out.splitlines()
    assert first == f"{PERSON}: stored; arrived once"
    assert re.fullmatch(rf"  erased, {MOMENT} UTC: what came of it before may be gone", erased)


@pytest.mark.usefixtures("stored")
def test_where_nothing_is_stored_there_is_nothing_to_do(service: Command) -> None:
    ended = service("erase", "nobody\x1b[31m", "--yes")
    assert (ended.code, ended.out, ended.err) == (0, "nobody\\x1b[31m: nothing is stored\n", "")
    assert service("deletions").out == "nothing was deleted\n"
    service("erase", PERSON, "--yes")
    again = service("erase", PERSON, "--yes")
    assert (again.code, again.out) == (0, f"{PERSON}: nothing is stored\n")


def test_an_erasure_that_was_interrupted_before_its_end_is_ended_by_the_next(service: Command, stored: Path) -> None:
    """As if it had been killed when the rows were gone and the file was not yet written anew."""
    service("erase", PERSON, "--yes")
    with closing(sqlite3.connect(stored, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("INSERT INTO schema_floor VALUES (9, ?)", [PERSON])
        connection.execute("DELETE FROM schema_floor WHERE id = 9")
    assert PERSON.encode() in stored.read_bytes()
    assert service("erase", PERSON, "--yes").code == 0
    assert PERSON.encode() not in stored.read_bytes()


def test_where_nobody_can_be_asked_yes_must_be_said(service: Command, stored: Path) -> None:
    ended = service("erase", PERSON)
    assert (ended.code, ended.out) == (2, "")
    assert "1 of conversion" in ended.err
    assert "--yes" in ended.err
    assert conversions(stored) == ["another", PERSON]


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, ["another"]), ("n\n", 1, ["another", PERSON])])
def test_a_person_is_asked(at_terminal: Command, stored: Path, answer: str, code: int, left: list[str]) -> None:
    ended = at_terminal("erase", PERSON, typed=answer)
    assert ended.code == code, ended.err
    assert conversions(stored) == left


def test_what_waits_in_the_spool_would_come_back_and_is_said(service: Command, stored: Path, bare: Path) -> None:
    journal = Journal(bare / "data" / "spool" / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback(f"c={PERSON}&value=1")])
    journal.close()
    ended = service("erase", PERSON, "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert "1 of its postbacks wait in the spool" in ended.err
    assert conversions(stored) == ["another", PERSON]
    assert service("erase", "another", "--yes").code == 0


@pytest.mark.parametrize("command", [["erase", "x", "--yes"], ["erase", "x", "--dry-run"], ["deletions"]])
def test_without_a_database_there_is_no_answer_and_none_is_made(
    service: Command, bare: Path, command: list[str]
) -> None:
    ended = service(*command)
    assert ended.code == 2
    assert f"there is no database at {Path(DATABASE).absolute()}" in ended.err
    assert list(bare.iterdir()) == []
