"""The commands `senders` and `keys`: what people and scripts see of them, on a file that nobody serves."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.auth.keys import digest
from service.cli import app
from service.core.presets import EZMOB
from service.storage.sqlite.file import FileLock
from tests.support.commands import Command

DATABASE = "data/postback.db"
KEY = re.compile(r"pbk_[0-9a-z]{12}_[0-9A-Za-z]{42}")
MEMBERS = ["id", "key", "sender", "is_test", "doors", "label", "expires_at", "postback_url"]


def listed_keys(service: Command) -> list[dict[str, Any]]:
    """Return what `keys list` tells."""
    return list(told(service, "keys", "list")["keys"])


def told(service: Command, *arguments: str) -> dict[str, Any]:
    """Return what a command tells as JSON."""
    return service(*arguments, "--json").answer()


def test_the_very_first_key_registers_its_sender_and_says_what_to_hand_over(service: Command, bare: Path) -> None:
    ended = service("keys", "create", "ezmob")
    assert (ended.code, ended.err) == (0, "")
    key, *rest = ended.out.splitlines()
    assert KEY.fullmatch(key)
    assert f"  http://127.0.0.1:8000/postback?c={{click_id}}&value={{value}}&key={key}" in rest
    with closing(sqlite3.connect(bare / DATABASE)) as connection:
        kept = connection.execute("SELECT sender, secret_sha256 FROM api_key").fetchall()
    assert kept == [("ezmob", digest(key[17:]).hex())]
    assert key[17:].encode() not in (bare / DATABASE).read_bytes()


def test_the_url_has_the_senders_own_names_and_the_address_that_is_given(service: Command) -> None:
    made = told(service, "keys", "create", "voluum", "--public-url", "https://track.example.com/")
    assert list(made) == MEMBERS
    assert made["postback_url"] == (
        f"https://track.example.com/postback?cid={{externalid}}&payout={{payout}}&key={made['key']}"
    )
    elsewhere = service("keys", "create", "voluum", "--door", "pixel", "--json", HOST="0.0.0.0").answer()
    assert str(elsewhere["postback_url"]).startswith("https://YOUR-HOST/pixel.gif?cid=")
    rows = told(service, "keys", "create", "voluum", "--door", "batch")
    assert rows["postback_url"] == "http://127.0.0.1:8000/postbacks"


def test_the_macros_of_the_url_are_told_to_be_the_platforms(service: Command) -> None:
    ended = service("keys", "create", "redtrack")
    assert "clickid={ref_id}&sum=<its macro for the value>&type=<its macro for the goal>" in ended.out
    assert "the macros are the platform's" in ended.out
    assert "macros" not in service("keys", "create", "redtrack", "--door", "batch").out


def test_a_key_has_what_it_was_made_with(service: Command) -> None:
    made = told(
        service,
        *("keys", "create", "ezmob", "--test", "--door", "batch", "--label", "é", "--expires", "90d", "--by", "me"),
    )
    (listed,) = listed_keys(service)
    assert {name: listed[name] for name in ("id", "sender", "state", "is_test", "doors", "label", "created_by")} == {
        "id": made["id"],
        "sender": "ezmob",
        "state": "live",
        "is_test": True,
        "doors": ["batch"],
        "label": "é",
        "created_by": "me",
    }
    assert (listed["expires_at"], listed["revoked_at"], listed["last_used_at"]) == (made["expires_at"], None, None)
    assert "never used" in service("keys", "list", "ezmob").out
    assert service("keys", "list", "voluum").out == "0 in all\n"


def test_a_revoked_key_stays_listed_and_can_be_named_by_the_whole_of_it(service: Command) -> None:
    made = told(service, "keys", "create", "ezmob")
    assert service("keys", "revoke", str(made["key"])).code == 0
    (listed,) = listed_keys(service)
    assert listed["state"] == "revoked"
    assert service("keys", "revoke", str(made["id"])).code == 0
    assert listed_keys(service) == [listed]
    assert service("keys", "rotate", str(made["id"])).code == 1


def test_after_a_rotation_two_keys_are_live_until_the_old_one_ends(service: Command) -> None:
    old = told(service, "keys", "create", "ezmob", "--door", "batch", "--label", "x")
    new = told(service, "keys", "rotate", str(old["id"]), "--overlap", "7d")
    assert list(new) == [*MEMBERS, "replaces"]
    first, second = listed_keys(service)
    assert (first["state"], second["state"], second["expires_at"]) == ("live", "live", None)
    assert new["replaces"] == {"id": old["id"], "expires_at": first["expires_at"]}
    assert (second["doors"], second["label"]) == (["batch"], "x")
    assert service("keys", "rotate", str(new["id"]), "--overlap", "0s").code == 0
    states = [key["state"] for key in listed_keys(service)]
    assert states == ["live", "expired", "live"]


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["keys", "create", "nobody"], "no such sender is registered", 2),
        (["keys", "create", "ezmob", "--door", "x"], "--door x", 2),
        (["keys", "create", "ezmob", "--expires", "x"], "--expires x", 2),
        (["keys", "create", "ezmob", "--expires", "2020-01-01"], "no time to come", 2),
        (["keys", "revoke", "nothing"], "no key of that id", 2),
        (["keys", "rotate", "nothing"], "no key of that id", 2),
        (["senders", "add", "Acme"], "lower-case", 2),
        (["senders", "add", "unknown"], "not unknown", 2),
        (["senders", "add", "acme", "--preset", "x"], "--preset x", 2),
        (["senders", "add", "acme", "--field", "a"], "--field a", 2),
        (["senders", "add", "acme", "--field", "a=b"], "--field a=b", 2),
        (["senders", "add", "acme", "--field", "key=goal"], "cannot be called that", 2),
        (["senders", "add", "acme", "--field", "test=goal"], "cannot be called that", 2),
        (["senders", "add", "acme", "--network", "192.0.2.1/24"], "--network 192.0.2.1/24", 2),
        (["senders", "add", "acme", "--report-only", "x"], "--report-only x", 2),
        (["senders", "add", "acme", "--require", "x"], "--require x", 2),
        (["senders", "show", "nobody"], "there is no database at", 2),
        (["senders", "set", "nobody"], "no such sender", 2),
        (["senders", "disable", "nobody"], "no such sender", 2),
        (["secrets", "revoke", "nothing"], "no such secret", 2),
        (["check", "/postback?c=a", "--sender", "nobody"], "no such sender", 2),
        (["check", "/postback?c=a", "--sender", "ezmob", "--preset", "tune"], "leave --preset", 2),
    ],
    ids=lambda given: "-".join(given).replace("/", ":") if isinstance(given, list) else None,
)
def test_a_mistake_is_one_line_that_names_it(bare: Path, arguments: list[str], said: str, code: int) -> None:
    assert bare
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_sender_is_shown_as_it_was_registered_and_changed(service: Command) -> None:
    options = [
        "--preset",
        "tune",
        "--numbers",
        "cents",
        "--field",
        "aff=goal",
        "--require",
        "click_id",
        "--require",
        "value",
    ]
    options += ["--network", "192.0.2.0/24", "--rate", "5", "--report-only", "rate", "--duplicates", "sum"]
    assert service("senders", "add", "acme", *options).code == 0
    shown = told(service, "senders", "show", "acme")
    assert {name: shown[name] for name in ("preset", "numbers", "networks", "rate_per_second", "duplicates")} == {
        "preset": "tune",
        "numbers": "cents",
        "networks": ["192.0.2.0/24"],
        "rate_per_second": 5,
        "duplicates": "sum",
    }
    assert shown["fields"]["aff"] == "goal"
    assert (shown["required"], shown["report_only"], shown["live_keys"]) == (["click_id", "value"], ["rate"], 0)
    assert service("senders", "add", "acme").code == 2
    assert service("senders", "set", "acme", "--network", "none", "--rate", "0", "--report-only", "none").code == 0
    changed = told(service, "senders", "show", "acme")
    assert (changed["networks"], changed["rate_per_second"], changed["report_only"]) == ([], None, [])
    assert changed["numbers"] == "cents"
    assert "aff=goal" in service("senders", "show", "acme").out


@pytest.mark.parametrize(
    ("option", "member", "first", "second", "both", "last"),
    [
        ("--field", "fields", "a=goal", "b=value", {"a": "goal", "b": "value"}, {"b": "value"}),
        ("--field", "fields", "a=goal", "a=value", {"a": "value"}, {"a": "value"}),
        ("--status", "statuses", "x=pending", "Y=approved", {"x": "pending", "y": "approved"}, {"y": "approved"}),
        ("--currency", "currencies", "hrk", "BTC", ["BTC", "HRK"], ["BTC"]),
        ("--placeholder", "placeholders", "0", "No_Click", ["0", "no_click"], ["no_click"]),
        ("--never-keep", "never_keep", "Email", "phone,e_mail", ["e_mail", "email", "phone"], ["e_mail", "phone"]),
    ],
)
def test_one_more_word_is_added_and_none_empties_first(  # noqa: PLR0913, PLR0917 - a table
    service: Command, option: str, member: str, first: str, second: str, both: object, last: object
) -> None:
    service("senders", "add", "acme", option, first)

    def after(*words: str) -> object:
        ended = service("senders", "set", "acme", *(part for word in words for part in (option, word)))
        assert (ended.code, ended.err) == (0, "")
        shown = told(service, "senders", "show", "acme")[member]
        assert f"{member:<16} {plain(shown)}" in ended.out.splitlines()
        return (
            {theirs: ours for theirs, ours in shown.items() if theirs not in EZMOB.fields}
            if isinstance(shown, dict)
            else shown
        )

    assert after(second) == both
    assert after("none", second) == last
    assert not after("none")


def plain(shown: dict[str, str] | list[str]) -> str:
    """Return a list as `senders show` prints it."""
    words = [f"{theirs}={ours}" for theirs, ours in shown.items()] if isinstance(shown, dict) else shown
    return " ".join(words) or "-"


def test_a_disabled_sender_is_listed_as_that_and_can_be_enabled(service: Command) -> None:
    assert service("keys", "create", "ezmob").code == 0
    assert service("senders", "disable", "ezmob").code == 0
    assert "disabled" in service("senders", "list").out
    assert listed_keys(service)[0]["state"] == "sender_disabled"
    assert service("senders", "enable", "ezmob").code == 0
    (listed,) = told(service, "senders", "list")["senders"]
    assert (listed["name"], listed["disabled_at"], listed["live_keys"]) == ("ezmob", None, 1)


def test_a_sender_that_nobody_registered_is_not_shown(service: Command) -> None:
    assert service("keys", "create", "ezmob").code == 0
    ended = service("senders", "show", "nobody")
    assert (ended.code, ended.out) == (2, "")
    assert "no such sender" in ended.err


def test_while_another_process_holds_the_file_keys_are_made_and_revoked_beside_it(service: Command, bare: Path) -> None:
    assert service("keys", "create", "ezmob").code == 0
    lock = FileLock(bare / DATABASE)
    made = told(service, "keys", "create", "ezmob")
    assert service("keys", "revoke", str(made["id"])).code == 0
    lock.close()
    assert [key["state"] for key in listed_keys(service)] == ["live", "revoked"]


def test_check_and_import_take_a_registered_sender_before_the_preset(service: Command, bare: Path) -> None:
    assert service("senders", "add", "acme", "--numbers", "comma").code == 0
    assert service("senders", "add", "ezmob", "--field", "subid=click_id").code == 0
    for url, sender in (("/postback?c=a&value=1,50", "acme"), ("/postback?subid=a&value=1", "ezmob")):
        answer = told(service, "check", url, "--sender", sender)  # in open mode the settings say who sends
        assert (answer["sender"], answer["supposed"]["outcome"]) == ("ezmob", "stored")
        assert answer["supposed"]["sender"] == sender
    assert told(service, "check", "/postback?c=a&value=1&key=secret")["fields"] == {
        "sender": "ezmob",
        "click_id": "a",
        "value": "1",
    }
    (bare / "rows.csv").write_text('c,value\na,"1,50"\n')
    assert service("import", "rows.csv", "--sender", "acme").code == 0
    with closing(sqlite3.connect(bare / DATABASE)) as connection:
        assert connection.execute("SELECT sender, value FROM conversion").fetchall() == [("acme", "1,50")]


def test_an_address_for_everybody_starts_once_there_is_a_key(service: Command) -> None:
    refused = service("run", HOST="192.0.2.1")
    assert (refused.code, "keys create ezmob" in refused.err) == (2, True)
    assert service("keys", "create", "ezmob").code == 0
    bound = service("run", HOST="192.0.2.1")
    assert (bound.code, "no API key" in bound.err) == (2, False)
    assert service("run", AUTH="required", HOST="192.0.2.1").err == bound.err


def test_a_key_for_a_name_that_no_sender_may_have_says_so(service: Command) -> None:
    refused = service("keys", "create", "KEITARO")
    assert refused.code == 2
    assert "names have small letters" in refused.err
    assert "senders add" not in refused.err
