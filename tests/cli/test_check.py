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
    assert (answer["status"], answer["sender"], answer["fields"]) == (401, None, None)
    assert service("check", URL + shown, "--sender", "acme").code == 0
    assert service("check", URL + shown, "--preset", "ezmob").code == 0


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


def test_where_it_would_come_from_is_not_asked(service: Command) -> None:
    key = key_of(service, "acme")
    assert service("senders", "set", "acme", "--network", "192.0.2.0/24").code == 0
    assert service("check", f"{URL}&key={key}").code == 0


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
