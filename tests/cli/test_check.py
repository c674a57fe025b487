"""The command `check` asks whose a URL is as the running service would: what its key makes it, or nobody's."""

import pytest

from tests.support.commands import Command

URL = "/postback?c=a&value=1"


def key_of(service: Command, sender: str, *options: str) -> str:
    """Register a sender with a key, and return the key."""
    service("senders", "add", sender)
    return str(service("keys", "create", sender, "--json", *options).answer()["key"])


def test_a_key_in_the_url_says_whose_it_is(service: Command) -> None:
    key = key_of(service, "acme")
    answer = service("check", f"https://host.example{URL}&key={key}", "--json").answer()
    assert (answer["outcome"], answer["sender"]) == ("stored", "acme")
    assert key not in str(answer)
    refused = service("check", f"{URL}x&key={key}", "--json").answer()
    assert (refused["outcome"], refused["sender"], refused["fields"]) == ("invalid_value", "acme", None)


@pytest.mark.parametrize("shown", ["", "&key=pbk_wrong", "&key=secret"], ids=["none", "wrong", "no key at all"])
def test_once_there_is_a_key_a_url_without_a_good_one_is_nobodys(service: Command, shown: str) -> None:
    key_of(service, "acme")
    ended = service("check", URL + shown)
    assert (ended.code, ended.out.split()[0]) == (1, "unauthenticated")
    assert "--sender NAME" in ended.out
    answer = service("check", URL + shown, "--json").answer()
    assert (answer["status"], answer["sender"], answer["known_by"], answer["fields"]) == (401, None, None, None)


@pytest.mark.parametrize(("option", "name"), [("--sender", "acme"), ("--preset", "ezmob")])
@pytest.mark.parametrize("shown", ["", "&key=pbk_wrong"], ids=["none", "wrong"])
def test_a_person_who_names_the_sender_is_told_the_doors_answer_first(
    service: Command, shown: str, option: str, name: str
) -> None:
    key_of(service, "acme")
    ended = service("check", URL + shown, option, name)
    lines = ended.out.splitlines()
    assert (ended.code, lines[0].split()[0]) == (1, "unauthenticated")
    assert f"with a good key of {name}'s it would be:" in lines[2]
    assert lines[3] == "stored (HTTP 200)"
    supposed = service("check", URL + shown, option, name, "--json").answer()["supposed"]
    assert isinstance(supposed, dict)
    assert (supposed["outcome"], supposed["sender"]) == ("stored", name)


def test_a_key_of_another_sender_than_the_named_one_is_a_contradiction(service: Command) -> None:
    acme, beta = key_of(service, "acme"), key_of(service, "beta")
    ended = service("check", f"{URL}&key={beta}", "--sender", "acme")
    assert (ended.code, ended.out.splitlines()[0]) == (1, "stored (HTTP 200)")
    assert f"  sender          beta (API key {beta.split('_')[1]})" in ended.out
    assert "that is not acme's, and the door takes it for beta's" in ended.out
    agreed = service("check", f"{URL}&key={acme}", "--sender", "acme", "--json").answer()
    assert (agreed["sender"], agreed["supposed"]) == ("acme", None)


def test_a_key_that_is_sent_in_a_header_can_be_shown_beside_the_url(service: Command) -> None:
    acme, beta = key_of(service, "acme"), key_of(service, "beta")
    answer = service("check", URL, "--key", acme, "--json").answer()
    assert (answer["sender"], answer["known_by"]) == ("acme", f"API key {acme.split('_')[1]}")
    twice = service("check", f"{URL}&key={beta}", "--key", acme)
    assert "two different credentials" in twice.out
    assert acme not in twice.out + twice.err


def test_a_key_for_another_door_a_revoked_one_and_a_disabled_senders_open_nothing(service: Command) -> None:
    batch_key, key = key_of(service, "acme", "--door", "batch"), key_of(service, "beta")
    assert service("check", f"{URL}&key={batch_key}").out.startswith("forbidden (HTTP 403): ")
    assert service("check", f"{URL}&key={key}").code == 0
    assert service("senders", "disable", "beta").code == 0
    assert service("check", f"{URL}&key={key}").out.startswith("forbidden (HTTP 403): the sender beta is disabled")
    assert service("senders", "enable", "beta").code == 0
    assert service("keys", "revoke", key.split("_")[1]).code == 0
    assert "was revoked" in service("check", f"{URL}&key={key}").out


def test_a_key_for_tests_makes_it_a_test(service: Command) -> None:
    key = key_of(service, "acme", "--test")
    fields = service("check", f"{URL}&key={key}", "--json").answer()["fields"]
    assert fields == {"sender": "acme", "click_id": "a", "value": "1", "is_test": True}


def test_where_it_would_come_from_is_not_checked_and_that_is_said(service: Command) -> None:
    key = key_of(service, "acme")
    assert service("senders", "set", "acme", "--network", "192.0.2.0/24").code == 0
    ended = service("check", f"{URL}&key={key}")
    assert ended.code == 0
    assert "note: not checked: where it comes from; acme may send from 192.0.2.0/24 only" in ended.out


def test_a_key_that_open_mode_does_not_look_at_is_said_to_be_that(service: Command) -> None:
    ended = service("check", f"{URL}&key=pbk_wrong")
    assert (ended.code, ended.out[:17]) == (0, "stored (HTTP 200)")
    assert "note: the key was not looked at: in open mode none is asked for" in ended.out


@pytest.mark.parametrize(
    "pasted",
    [
        f"{URL}\n",
        f"  {URL}\r\n",
        f"'{URL}'",
        f'"{URL}" ',
        f"<http://localhost{URL}>",
        f"\ufeff{URL}\u200b",
        f"\u201c{URL}\u201d",
    ],
    ids=["line end", "blanks", "apostrophes", "quotes", "as in mails", "without width", "of a word processor"],
)
def test_what_surrounds_a_pasted_url_is_left_out_and_told(service: Command, pasted: str) -> None:
    answer = service("check", pasted, "--json").answer()
    assert (answer["outcome"], answer["fields"]) == ("stored", {"sender": "ezmob", "click_id": "a", "value": "1"})
    assert answer["notes"] == ["left out: what stood around the URL"]


@pytest.mark.parametrize("broken", ["/postback?c=a\n&value=1", "/post\r\nback?c=a&value=1", "/postback?c=a\t&value=1"])
def test_a_url_that_is_broken_in_the_middle_is_none(service: Command, broken: str) -> None:
    ended = service("check", broken)
    assert (ended.code, ended.out) == (2, "")
    assert "the URL is broken by" in ended.err


@pytest.mark.parametrize(
    ("url", "outcome", "note"),
    [
        ("/postback?c=a b&value=1", "invalid_click_id", None),
        ("/postback?c=a&amp;value=1", "missing_value", None),
        ("/postback?c=a&value=1#top", "stored", "left out: what follows #, which is never sent"),
        ("/postback?c=#s1#&value=1", "missing_click_id", "left out: what follows #, which is never sent"),
    ],
)
def test_within_a_url_nothing_is_changed(service: Command, url: str, outcome: str, note: str | None) -> None:
    answer = service("check", url, "--json").answer()
    assert (answer["outcome"], answer["notes"]) == (outcome, [note] if note else [])


@pytest.mark.parametrize(
    ("url", "settings", "outcome"),
    [
        (f"http://localhost:8000{URL}", {}, "stored"),
        (f"https://host.example{URL}", {}, "unauthenticated"),
        (URL, {"HOST": "192.0.2.1"}, "unauthenticated"),
        (URL, {"AUTH": "required"}, "unauthenticated"),
    ],
    ids=["direct", "another Host", "an address for everybody", "keys only"],
)
def test_without_any_key_only_a_direct_request_to_loopback_is_let_in(
    service: Command, url: str, settings: dict[str, str], outcome: str
) -> None:
    assert service("check", url, "--json", **settings).answer()["outcome"] == outcome


def test_settings_that_let_no_service_start_are_told(service: Command) -> None:
    notes = service("check", URL, "--json", HOST="192.0.2.1").answer()["notes"]
    assert isinstance(notes, list)
    assert notes[0].startswith("with these settings the service does not start: POSTBACK_HOST=192.0.2.1: ")
