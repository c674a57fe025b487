"""The command `lookup`: what became of a click id, for people and for programs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.core.mistakes import rejection_of
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import Rejection
from service.core.presets import EZMOB
from service.core.roster import sender_from_preset
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

UNREPLACED = Rejected(Outcome.UNEXPANDED_MACRO, "it came as undefined")
DATABASE = "data/postback.db"  # where the default setting puts it, in the bare folder


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("click_id", "code", "outcomes"),
    [("came", 0, ["stored", "duplicate"]), ("refused", 1, ["invalid_value"]), ("never", 1, [])],
)
def test_lookup_tells_what_became_of_a_click_id(
    service: Command, click_id: str, code: int, outcomes: list[str]
) -> None:
    ended = service("lookup", click_id, "--json")
    answer = ended.answer()
    assert (ended.code, answer["click_id"], answer["stored"]) == (code, click_id, code == 0)
    assert isinstance(answer["arrivals"], list)
    assert [arrival["outcome"] for arrival in answer["arrivals"]] == outcomes
    for arrival in answer["arrivals"]:
        what = {"outcome", "status", "answered", "detail", "is_test"}
        assert set(arrival) == {"received_at", "drained_at", "sender", "door", "request_id", *what}
        assert arrival["received_at"] == "2026-01-02T03:04:05.678901Z"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("click_id", "code", "told"),
    [
        ("came", 0, "came: stored; arrived 2 times"),
        ("refused", 1, "refused: NOT stored; arrived once"),
        (
            "never",
            1,
            "never: never arrived (none had this click id, and none that was rejected names it)",
        ),
    ],
)
def test_lookup_tells_a_person_first_whether_it_is_stored(
    service: Command, click_id: str, code: int, told: str
) -> None:
    ended = service("lookup", click_id)
    assert (ended.code, ended.out.splitlines()[0], ended.err) == (code, told, "")


def test_lookup_tells_a_test_from_the_real_thing(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback("c=tried&value=1&test=1"), builders.postback("c=both&value=1&test=1")])
    ledger.commit([builders.postback("c=both&value=7")])
    ledger.close()
    tried = service("lookup", "tried")
    assert (tried.code, tried.out.splitlines()[0]) == (
        0,
        "tried: stored as a test only, and counts nowhere; arrived once",
    )
    assert ", a test  sender ezmob  [" in tried.out
    assert service("lookup", "both").out.startswith("both: stored; arrived 2 times")
    arrivals = service("lookup", "both", "--json").answer()["arrivals"]
    assert isinstance(arrivals, list)
    assert sorted(arrival["is_test"] for arrival in arrivals) == [False, True]


def test_lookup_tells_what_a_pixel_was_answered_and_what_became_of_it(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.rejection(Outcome.INVALID_VALUE, "seen", door="pixel", path="/pixel.gif")])
    ledger.close()
    arrivals = service("lookup", "seen", "--json").answer()["arrivals"]
    assert isinstance(arrivals, list)
    assert [(it["door"], it["status"], it["outcome"]) for it in arrivals] == [("pixel", 200, "invalid_value")]
    assert "  pixel  200 invalid_value: " in service("lookup", "seen").out


def test_lookup_tells_what_was_answered_then_and_what_became_of_it(service: Command, bare: Path) -> None:
    life = ["c=late&value=1&conversion_status=refunded", "c=late&value=1&conversion_status=approved"]
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback(query) for query in life])
    ledger.close()
    with closing(sqlite3.connect(bare / DATABASE)) as connection:  # SQLite has no spool, but may be a copy
        for table in ("conversion", "rejected_postback"):
            connection.execute(f"UPDATE {table} SET drained_at = '2026-01-02 03:05:00.000000'")  # noqa: S608 - our own names
        connection.commit()
    told = service("lookup", "late").out.splitlines()
    assert "  postback  200 spooled, and at 2026-01-02 03:05:00.000 UTC stored: refunded, value 1 " in told[1]
    assert "  postback  200 spooled, and at 2026-01-02 03:05:00.000 UTC illegal_transition: " in told[2]
    shown = service("rejected", "show", "1")
    assert "outcome      illegal_transition (answered spooled, HTTP 200; judged when it left the spool, " in shown.out
    answer = service("rejected", "show", "1", "--json").answer()
    assert (answer["outcome"], answer["answered"], answer["status"]) == ("illegal_transition", "spooled", 200)
    exported = [json.loads(line) for line in service("export", "--format", "ndjson").out.splitlines()]
    assert [row["drained_at"] is not None for row in exported] == [True]


@pytest.mark.usefixtures("stored")
def test_a_replay_is_no_second_arrival_and_stands_after_what_it_came_from(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.rejection(Outcome.INVALID_VALUE, "again", request_id="f" * 32)])
    ledger.commit([builders.postback("c=again&value=1", door="replay", request_id="0" * 32)])
    ledger.close()
    first, *arrivals, last = service("lookup", "again").out.splitlines()
    assert first == "again: stored; arrived once, replayed"
    assert last == "not searched: what was rejected and names it otherwise (--everywhere does)"
    assert ["  replay  " in line for line in arrivals] == [False, True]


def test_lookup_tells_the_sum_of_several_conversions(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback(f"c=many&value={value}&txid={value}") for value in ("1.50", "2.25")])
    ledger.commit([builders.postback("c=many&value=9&test=1")])
    ledger.close()
    told = service("lookup", "many").out.splitlines()
    assert told[-2] == "  together: no status, 2 conversions of 3.75 (no currency)"


@pytest.mark.parametrize(
    ("entry", "line", "advice"),
    [
        (
            rejection_of(builders.raw("c=odd&value=1&txid=undefined"), EZMOB, UNREPLACED),
            "unexpanded_macro: it came as undefined  sender ezmob  [",
            "Leave txid out where there is none: undefined is an empty variable of the tracker.",
        ),
        (
            builders.rejection(Outcome.INVALID_VALUE, "odd"),
            "invalid_value: 'x' is not an amount  sender ezmob  [",
            Outcome.INVALID_VALUE.hint,
        ),
        (
            Rejection(builders.raw("c=odd"), None, Outcome.UNAUTHENTICATED, "no such API key", None),
            "unauthenticated: no such API key  sender unknown  [",
            Outcome.UNAUTHENTICATED.hint,
        ),
    ],
)
def test_one_advice_is_given_the_one_that_fits_and_the_sender_is_named(
    service: Command, bare: Path, entry: Rejection, line: str, advice: str
) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([entry])
    ledger.close()
    told = service("lookup", "odd").out
    assert line in told
    assert told.splitlines()[-1] == f"What to do: {advice}"
    assert told.count(advice) == 1
    assert f"hint         {advice}" in service("rejected", "show", "1").out.splitlines()


UNREAD = [
    ("c=bare", "no value was sent: counts as 0"),
    ("c=bare&currency=USD", "no value was sent: counts as 0"),
    ("c=bare&amount=12.50", "no value was sent: counts as 0; amount=12.50 is another name for a value"),
    ("c=bare&amount=0", "no value was sent: counts as 0"),
    ("c=bare&status=odd", "no value was sent: counts as 0; status=odd is no known status"),
    ("c=bare&value=1&status=odd&amount=2", "value 1 (no currency); status=odd is no known status"),
    ("c=bare&value=1&amount=2", "value 1 (no currency)"),
]


@pytest.mark.parametrize(("query", "told"), UNREAD, ids=[query for query, _ in UNREAD])
def test_what_came_under_a_name_or_a_word_that_is_not_known_is_told(
    service: Command, bare: Path, query: str, told: str
) -> None:
    sender = sender_from_preset("ezmob", "ezmob", required=frozenset({"click_id"}))
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([parse(builders.raw(query), sender)])
    ledger.close()
    assert f"  200 stored: {told}  " in service("lookup", "bare").out


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "words", [["-Abc"], ["-Abc", "--json"], ["--json", "-Abc"], ["--", "-Abc"], ["--json", "--", "-Abc"]]
)
def test_a_click_id_may_begin_with_a_dash(service: Command, bare: Path, words: list[str]) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback("c=-Abc&value=1")])
    ledger.close()
    ended = service("lookup", *words)
    assert (ended.code, ended.err) == (0, "")
    assert "-Abc" in ended.out
    erased = service("erase", "--dry-run", "--by", "-me", *words)
    assert (erased.code, erased.err) == (0, "")
    assert "-Abc" in erased.out or "rows" in erased.out


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("letters", ["-h1", "-1", "-Ah", "-dry-run", "-came"])
def test_letters_behind_a_dash_are_no_options(service: Command, letters: str) -> None:
    ended = service("lookup", letters)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(f"{letters}: never arrived")


def test_of_two_dashes_it_is_said_what_to_type(service: Command) -> None:
    ended = service("lookup", "--abc")
    assert ended.code == 2
    assert "lookup -- --abc" in " ".join(ended.err.replace("│", " ").split())
    assert service("lookup", "--help").out.startswith("Usage: python -m service lookup ")
