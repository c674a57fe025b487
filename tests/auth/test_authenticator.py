"""Who sent it: keys and open mode, what auto means as the roster changes, and what is only reported."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.auth.access import Mode, StartRefused
from service.auth.authenticator import (
    Authenticator,
    Caller,
    RosterUnknown,
)
from service.auth.credentials import Credentials
from service.auth.open_mode import authenticate_open
from service.core.mistakes import rejection_of
from service.core.outcome import Outcome, Rejected
from service.core.presets import EZMOB, PRESETS
from service.core.roster import EMPTY_ROSTER, Roster
from service.telemetry.metrics import Metrics
from tests.support import builders
from tests.support.authenticated import authenticator, caller_of, refusal_of
from tests.support.fakes import KeptLines, kept_log
from tests.support.registered import KEY, NOW, PUBLIC, SENDER, roster, roster_key, text_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]", "[::1]:8000"]
)
def test_a_direct_request_to_a_loopback_name_is_ezmobs(host: str) -> None:
    assert authenticate_open(builders.raw(host=host.encode())) is EZMOB


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "localhost:x",
        "\xff",
    ],
)
def test_any_other_host_is_unauthenticated(host: str) -> None:
    with pytest.raises(Rejected) as rejected:
        authenticate_open(builders.raw(host=host.encode("latin-1")))
    assert rejected.value.outcome is Outcome.UNAUTHENTICATED
    assert "only direct requests to a loopback name such as localhost are answered" in rejected.value.detail


def test_where_keys_are_asked_for_nothing_is_said_of_open_mode() -> None:
    assert "loopback" not in Outcome.UNAUTHENTICATED.hint


def test_a_request_through_a_proxy_is_unauthenticated() -> None:
    with pytest.raises(Rejected) as rejected:
        authenticate_open(builders.raw(forwarded=True))
    assert rejected.value.outcome is Outcome.UNAUTHENTICATED
    assert "only direct requests to a loopback name such as localhost are answered" in rejected.value.detail


@pytest.mark.parametrize(
    ("mode", "host"),
    [("auto", "127.0.0.1"), ("auto", "::1"), ("auto", "localhost"), ("open", "0.0.0.0"), ("open", "127.0.0.1")],
)
async def test_the_service_starts_open_where_the_rule_allows(mode: Mode, host: str) -> None:
    made = Authenticator(mode, host, PRESETS["voluum"], kept_log(KeptLines(), Metrics()))
    made.follow(EMPTY_ROSTER)
    made.assert_may_start()
    assert await made(builders.raw()) == Caller(PRESETS["voluum"])


@pytest.mark.parametrize(
    ("mode", "host"),
    [("auto", "0.0.0.0"), ("auto", "::"), ("auto", "192.168.1.2"), ("auto", "example.com"), ("required", "127.0.0.1")],
)
def test_elsewhere_the_start_is_refused_with_the_command_that_makes_a_key(mode: Mode, host: str) -> None:
    with pytest.raises(StartRefused, match="python -m service keys create"):
        authenticator(EMPTY_ROSTER, mode, host)[0].assert_may_start()


@pytest.mark.parametrize(("mode", "host"), [("auto", "0.0.0.0"), ("required", "127.0.0.1"), ("auto", "127.0.0.1")])
@pytest.mark.parametrize("known", [None, roster()], ids=["unknown", "a-key"])
def test_with_a_key_or_while_nobody_can_tell_it_starts_anywhere(mode: Mode, host: str, known: Roster | None) -> None:
    authenticator(known, mode, host)[0].assert_may_start()


async def test_a_key_tells_its_sender_and_the_use_of_it_is_noted() -> None:
    made, _ = authenticator(roster())
    used = []
    made.used = lambda key, at: used.append((key, at))
    assert await made(builders.raw(received_at=NOW), Credentials((KEY,))) == Caller(SENDER.sender, key_id=PUBLIC)
    assert used == [(PUBLIC, NOW)]


async def test_the_key_of_a_test_makes_a_test() -> None:
    assert (await caller_of(roster(key=roster_key(is_test=True)), KEY)).is_test


@pytest.mark.parametrize(
    ("keys", "changes", "said"),
    [
        ((), {}, "no API key was sent, and nothing else"),
        ((), {"query": f"c=a&api_key={KEY}"}, "the URL has one as api_key, and the parameter is called key"),
        ((), {"query": f"Key={KEY}&c=a"}, "the URL has one as Key, and"),
        ((), {"query": f"c=a?key={KEY}"}, "the URL has one as key, and"),
        ((), {"body": f"key={KEY}".encode()}, "the body has one, and it belongs into the URL or a header"),
        ((), {"body": f'{{"apikey": "{KEY}"}}'.encode()}, "the body has one"),
        ((), {"query": "c=a&note=pbk_&x=apbk_1"}, "no API key was sent, and nothing else"),
        (("",), {}, "empty"),
        (("secret",), {}, "begin with pbk_"),
        ((KEY[:-1],), {}, "not whole"),
        ((KEY[:20],), {}, "not whole"),
        ((f"{KEY}0",), {}, "not whole"),
        ((KEY.upper(),), {}, "begin with pbk_"),
        ((KEY.swapcase(),), {}, "begin with pbk_"),
        ((KEY[:16] + KEY[16:].swapcase(),), {}, "not whole"),
        ((f" {KEY}",), {}, "white space"),
        ((f"{KEY}\n",), {}, "white space"),
        ((KEY.replace("_", "-"),), {}, "begin with pbk_"),
        ((f"{KEY[:20]}{'0' if KEY[20] != '0' else '1'}{KEY[21:]}",), {}, "checksum"),
        ((text_of("another"),), {}, "no such API key"),
        ((f"pbk_{PUBLIC}_{text_of('another')[17:]}",), {}, "checksum"),
        ((KEY, text_of("another")), {}, "two different credentials"),
        ((KEY, ""), {}, "two different credentials"),
    ],
    ids=[
        *(
            "none",
            "api-key",
            "upper-case-name",
            "glued",
            "in-a-form",
            "in-json",
            "only-the-prefix",
            "empty",
            "no-key",
            "cut-by-one",
            "cut-to-twenty",
            "one-too-many",
            "upper-case",
            "swapped-case",
        ),
        *(
            "secret-in-wrong-case",
            "space-before",
            "line-end-behind",
            "other-separator",
            "one-letter-changed",
            "unknown",
        ),
        *("anothers-secret", "two-keys", "a-key-and-an-empty-one"),
    ],
)
async def test_what_is_no_key_of_ours_is_unauthenticated(
    keys: tuple[str, ...], changes: dict[str, Any], said: str
) -> None:
    outcome, detail = await refusal_of(roster(), *keys, **changes)
    assert outcome is Outcome.UNAUTHENTICATED
    assert said in detail
    assert all(key[17:] not in detail for key in keys if len(key) > 20)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"revoked_at": NOW - timedelta(days=1)}, "was revoked at 2026-01-01 03:04 UTC"),
        ({"revoked_at": NOW + timedelta(days=1)}, "was revoked"),
        ({"expires_at": NOW - timedelta(seconds=1)}, "expired at 2026-01-02 03:04 UTC"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + timedelta(days=1), "revoked_at": NOW}, "was revoked"),
        ({"secret_sha256": bytes(32)}, "no such API key"),
        ({"sender": "nobody"}, "belongs to no registered sender"),
    ],
    ids=["revoked", "revoked-by-a-fast-clock", "expired", "expires-now", "both", "another-hash", "no-sender"],
)
async def test_a_key_that_is_not_valid_any_more_is_unauthenticated(changes: dict[str, Any], said: str) -> None:
    outcome, detail = await refusal_of(roster(key=roster_key(**changes)), KEY)
    assert (outcome, said in detail) == (Outcome.UNAUTHENTICATED, True)


async def test_a_key_is_valid_until_the_moment_of_its_end() -> None:
    ending = roster(key=roster_key(expires_at=NOW + timedelta(microseconds=1)))
    assert (await caller_of(ending, KEY)).sender.name == "acme"


@pytest.mark.parametrize(
    ("door", "doors", "refused"),
    [
        ("postback", {"postback"}, False),
        ("batch", {"batch"}, False),
        ("pixel", {"pixel"}, False),
        ("pixel", {"postback", "batch"}, True),
        ("batch", {"pixel"}, True),
        ("postback", {"batch"}, True),
        ("postback", set(), True),
    ],
    ids=["own", "own-batch", "own-pixel", "pixel-of-two", "batch-of-pixel", "postback-of-batch", "none"],
)
async def test_a_key_opens_its_doors_and_no_other(door: str, doors: set[str], refused: bool) -> None:  # noqa: FBT001
    caller = await caller_of(roster(key=roster_key(doors=frozenset(doors))), KEY, door=door)
    assert caller.sender.name == "acme"
    assert bool(caller.refusal) is refused
    if caller.refusal:
        assert caller.refusal.outcome is Outcome.FORBIDDEN
        assert f"not for {door}" in caller.refusal.detail


async def test_a_disabled_senders_key_is_known_and_forbidden() -> None:
    disabled = roster(sender=replace(SENDER, disabled=True))
    assert await refusal_of(disabled, KEY) == (Outcome.FORBIDDEN, "the sender acme is disabled")


@pytest.mark.parametrize("mode", ["auto", "required"])
async def test_once_there_is_a_key_a_loopback_name_alone_lets_nobody_in(mode: Mode) -> None:
    with pytest.raises(Rejected):
        await authenticator(roster(), mode)[0](builders.raw())


@pytest.mark.parametrize("is_test", [True, False])
async def test_what_shows_a_test_key_that_is_over_is_a_test_all_the_same(*, is_test: bool) -> None:
    """A replay that somebody vouches for must make no real conversion of it."""
    over = roster_key(revoked_at=NOW, is_test=is_test)
    with pytest.raises(Rejected) as rejected:
        await caller_of(roster(key=over), KEY)
    kept = rejection_of(builders.raw(), None, rejected.value)
    assert (rejected.value.is_test, kept.raw.is_test) == (is_test, is_test)
    lenient = replace(SENDER, report_only=frozenset({"credentials"}))
    assert (await caller_of(roster(lenient, over), KEY)).is_test is is_test


async def test_a_revoked_last_key_does_not_open_the_door() -> None:
    with pytest.raises(Rejected):
        await caller_of(roster(key=roster_key(revoked_at=NOW)))


async def test_keys_that_vanish_on_a_public_address_let_nobody_in() -> None:
    made, lines = authenticator(roster(), "auto", "0.0.0.0")
    made.log_access()
    made.follow(EMPTY_ROSTER)
    with pytest.raises(Rejected):
        await made(builders.raw())
    assert lines.events("open_mode") == []


async def test_it_says_who_is_let_in_and_when_that_changes() -> None:
    made, lines = authenticator(EMPTY_ROSTER)
    assert lines.kept == []
    made.log_access()
    made.follow(EMPTY_ROSTER)
    made.follow(roster())
    assert [line["event"] for line in [*lines.events("open_mode"), *lines.events("keys_required")]] == [
        "open_mode",
        "keys_required",
    ]


async def test_in_open_mode_nobody_looks_at_credentials() -> None:
    made, _ = authenticator(roster(), "open")
    assert await made(builders.raw(), Credentials(("wrong",))) == Caller(EZMOB)


@pytest.mark.parametrize(
    ("host", "keys", "forwarded"),
    [("127.0.0.1", (KEY,), False), ("127.0.0.1", (), True), ("0.0.0.0", (), False)],
    ids=["with-a-key", "through-a-proxy", "on-a-public-address"],
)
async def test_while_nobody_knows_the_keys_it_is_our_fault(host: str, keys: tuple[str, ...], forwarded: bool) -> None:  # noqa: FBT001
    made, _ = authenticator(None, "auto", host)
    with pytest.raises(RosterUnknown):
        await made(builders.raw(forwarded=forwarded), Credentials(keys))


async def test_while_nobody_knows_the_keys_direct_requests_without_one_are_open_as_before_the_first() -> None:
    assert await authenticator(None)[0](builders.raw()) == Caller(EZMOB)
    with pytest.raises(RosterUnknown):
        await authenticator(None, "required")[0](builders.raw())
