"""The command `reprocess`: tells what today's rules read otherwise, asks, corrects, and says who did and why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.parsing import parse
from service.core.roster import sender_from_preset
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

SINCE = ("--sender", "acme", "--since", "2026-01-01")
WHY = ("--reason", "revenue was not read", "--by", "maria")


@pytest.fixture
def stored(service: Command, bare: Path) -> Path:
    """Store three conversions whose value was not read, and one whose was; then mend the sender."""
    assert service("senders", "add", "acme", "--preset", "voluum").code == 0
    then = sender_from_preset("voluum", "acme")
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    for query in ("cid=a&turnover=1000.50", "cid=b&turnover=20", "cid=c&turnover=x", "cid=d&payout=4"):
        ledger.commit([parse(builders.raw(f"{query}&currency=USD"), then)])
    ledger.close()
    assert service("senders", "set", "acme", "--field", "turnover=value").code == 0
    return bare


TOLD = [
    "        2  value 0 → turnover, sum +1,020.50 USD",
    "           a, b",
    "        1  would be invalid_value today: left as they are",
    "           c",
]


REPEATS = "duplicates of these came, perhaps other sales: what they sent is not kept, and cannot be read again"
NOTHING = {
    "done": True,
    "corrected": [],
    "other_key": 0,
    "other_key_click_ids": [],
    "twice": 0,
    "twice_click_ids": [],
    "repeats": 0,
    "unchanged": 3,
}


@pytest.mark.usefixtures("stored")
def test_a_dry_run_tells_the_difference_and_makes_none(service: Command) -> None:
    for _ in range(2):
        ended = service("reprocess", *SINCE, "--dry-run")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines() == [*TOLD, "2 would be corrected, 1 are read as they were"]


@pytest.mark.usefixtures("stored")
def test_it_is_done_once_and_everywhere_what_it_is_worth_now_is_told(service: Command) -> None:
    ended = service("reprocess", *SINCE, *WHY, "--yes")
    assert (ended.code, ended.out.splitlines()) == (0, [*TOLD, "2 corrected, 1 are read as they were"])
    again = service("reprocess", *SINCE, *WHY, "--yes", "--json").answer()
    assert again == {**NOTHING, "rejected": {"invalid_value": 1}, "rejected_click_ids": {"invalid_value": ["c"]}}
    exported = [json.loads(line) for line in service("export", "--format", "ndjson").out.splitlines()]
    assert [(row["value"], row["current_value"], row["current_value_micros"]) for row in exported] == [
        ("", "1000.50", 1_000_500_000),
        ("", "20", 20_000_000),
        ("", "", 0),
        ("4", "4", 4_000_000),
    ]
    shown = service("lookup", "a").out
    assert "corrected by maria: value 1000.50 USD (revenue was not read)" in shown
    assert "now: value 1000.50 USD" in shown or "now: no status, value 1000.50 USD" in shown
    (correction,) = json.loads(service("lookup", "a", "--json").out)["corrections"]
    assert (correction["value_micros"], correction["corrected_by"], correction["number"]) == (1_000_500_000, "maria", 0)


@pytest.mark.parametrize(("answer", "code", "found"), [("y\n", 0, 0), ("n\n", 1, 2)])
@pytest.mark.usefixtures("stored")
def test_a_person_is_asked(at_terminal: Command, service: Command, answer: str, code: int, found: int) -> None:
    assert at_terminal("reprocess", *SINCE, *WHY, typed=answer).code == code
    assert f"{found} would be corrected" in service("reprocess", *SINCE, "--dry-run").out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--sender", "nobody", "--since", "7d", "--dry-run"], "no such sender"),
        ([*SINCE, "--yes"], "say --reason"),
        ([*SINCE, "--reason", "  "], "say --reason"),
        (["--sender", "acme", "--since", "soon", "--dry-run"], "soon"),
        (["--sender", "acme", "--dry-run"], "--since"),
        ([*SINCE, *WHY], "say --yes"),
    ],
)
@pytest.mark.usefixtures("stored")
def test_what_cannot_be_done_ends_with_2_and_says_why(service: Command, arguments: list[str], reason: str) -> None:
    ended = service("reprocess", *arguments)
    assert ended.code == 2
    assert reason in ended.err


def test_while_a_service_writes_the_file_only_a_dry_run_works(service: Command, stored: Path) -> None:
    ledger = SqliteLedger(stored / "data/postback.db")
    ledger.open()
    refused, foreseen = service("reprocess", *SINCE, *WHY, "--yes"), service("reprocess", *SINCE, "--dry-run")
    ledger.close()
    assert (refused.code, foreseen.code) == (2, 0)
    assert "stop the service first, then reprocess (--dry-run works meanwhile)" in refused.err


def test_without_a_database_none_is_made(service: Command, bare: Path) -> None:
    ended = service("reprocess", "--sender", "ezmob", "--since", "7d", "--dry-run")
    assert (ended.code, list(bare.iterdir())) == (2, [])
    assert "there is no database" in ended.err


@pytest.mark.usefixtures("stored")
def test_what_is_stored_twice_and_what_cannot_be_read_again_is_told(service: Command, bare: Path) -> None:
    then = sender_from_preset("voluum", "acme")
    now = replace(then, fields={**then.fields, "order": "transaction_id"})
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    for sender in (then, then, now):
        ledger.commit([parse(builders.raw("cid=e&payout=1&order=1"), sender)])
    ledger.close()
    assert service("senders", "set", "acme", "--field", "order=transaction_id").code == 0
    assert service("reprocess", *SINCE, "--dry-run").out.splitlines()[len(TOLD) : -1] == [
        "        1  would have another click id, goal or transaction id today: left as they are",
        "           e",
        "        1  of these are stored under today's key as well: the same sale is counted twice",
        "           e",
        f"        1  {REPEATS}",
    ]
    answer = service("reprocess", *SINCE, "--dry-run", "--json").answer()
    assert (answer["other_key_click_ids"], answer["twice_click_ids"], answer["repeats"]) == (["e"], ["e"], 1)
