"""What else is asked of a known sender, whoever it was known by: its address, its signature, how many come."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.auth.authenticator import Authenticator, Caller, WouldReject
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.auth.oauth.issuer import KeysUnavailable
from service.auth.signature import Secret, SignedRequest, sign_query, sign_webhook
from service.core.outcome import Outcome, Rejected
from service.core.presets import EZMOB
from service.core.roster import Check, KnownSender, Roster
from service.telemetry.metrics import Metrics
from tests.support import builders
from tests.support.fakes import KeptLines, kept_log
from tests.support.registered import KEY, NOW, SENDER, roster, roster_key

pytestmark = pytest.mark.anyio

SECRET, OTHER = Secret(b"s" * 32), Secret(b"o" * 32)
QUERY = b"cid=click-1&payout=1.50"
SIGNS = replace(SENDER, signing_secrets=(SECRET.written(),), signs=True)
HERE = replace(SENDER, networks=("192.0.2.0/24", "2001:db8::/32"))
SLOW = replace(SENDER, rate_per_second=1)


def signed(query: bytes = QUERY, secret: Secret = SECRET, now: float = NOW.timestamp()) -> Credentials:
    """Return what a signed GET shows."""
    return Credentials(signed=SignedRequest(sign_query(query, secret, now), "", (), b""))


def authenticator(known: Roster, **options: Any) -> Authenticator:
    made = Authenticator("required", "0.0.0.0", EZMOB, kept_log(KeptLines(), Metrics()), **options)
    made.follow(known)
    return made


async def refusal(made: Authenticator, credentials: Credentials, **changes: Any) -> Outcome | None:
    """Return why a request is refused, None if it is not."""
    try:
        caller = await made(builders.raw(received_at=NOW, **changes), credentials)
    except Rejected as rejected:
        return rejected.outcome
    return caller.refusal.outcome if caller.refusal else None


@pytest.mark.parametrize(
    ("client_ip", "outcome"),
    [
        ("192.0.2.1", None),
        ("::ffff:192.0.2.1", None),
        ("2001:db8::1", None),
        ("192.0.3.1", Outcome.FORBIDDEN),
        ("2001:db9::1", Outcome.FORBIDDEN),
        ("127.0.0.1", Outcome.FORBIDDEN),
        ("", Outcome.FORBIDDEN),
        ("unknown", Outcome.FORBIDDEN),
        ("192.0.2.1:80", Outcome.FORBIDDEN),
    ],
)
async def test_a_sender_with_networks_sends_from_nowhere_else(client_ip: str, outcome: Outcome | None) -> None:
    assert await refusal(authenticator(roster(HERE)), Credentials((KEY,)), client_ip=client_ip) is outcome


async def test_a_list_that_cannot_be_read_lets_nobody_in() -> None:
    broken = replace(SENDER, networks=("192.0.2.0/24", "nonsense"))
    made = authenticator(roster(broken))
    assert await refusal(made, Credentials((KEY,)), client_ip="192.0.2.1") is Outcome.FORBIDDEN


async def test_a_signature_alone_says_who_sends() -> None:
    acme = replace(SENDER, sender=replace(SENDER.sender, name="other"), signing_secrets=(OTHER.written(),), signs=True)
    known = Roster({"other": acme, "acme": SIGNS}, {})
    caller = await authenticator(known)(builders.raw(received_at=NOW), signed())
    assert (caller.sender.name, caller.refusal) == ("acme", None)


@pytest.mark.parametrize(
    "credentials",
    [
        signed(secret=OTHER),
        signed(now=NOW.timestamp() - 301),
        signed(now=NOW.timestamp() + 301),
        Credentials(
            signed=SignedRequest(sign_query(QUERY, SECRET, NOW.timestamp()).replace(b"1.50", b"9.50"), "", (), b"")
        ),
        Credentials(signed=SignedRequest(QUERY, "", (), b"")),
        NO_CREDENTIALS,
    ],
    ids=["another's secret", "too old", "too new", "changed", "unsigned", "nothing"],
)
async def test_without_a_good_signature_nobody_is_known(credentials: Credentials) -> None:
    made = authenticator(Roster({"acme": SIGNS}, {}))
    assert await refusal(made, credentials) is Outcome.UNAUTHENTICATED


async def test_a_sender_with_a_secret_has_to_sign_also_with_a_key() -> None:
    made = authenticator(roster(SIGNS))
    assert await refusal(made, Credentials((KEY,))) is Outcome.UNAUTHENTICATED
    assert await refusal(made, signed()._replace(keys=(KEY,))) is None
    assert await refusal(made, signed(secret=OTHER)._replace(keys=(KEY,))) is Outcome.UNAUTHENTICATED


@pytest.mark.parametrize("secrets", [(), ("whsec_", "nonsense")])
async def test_without_a_live_secret_nothing_that_must_be_signed_is_signed(secrets: tuple[str, ...]) -> None:
    gone = replace(SIGNS, signing_secrets=secrets)
    empty = Credentials((KEY,), signed=SignedRequest(sign_query(QUERY, Secret(b""), NOW.timestamp()), "", (), b""))
    for credentials in (signed()._replace(keys=(KEY,)), empty):
        assert await refusal(authenticator(roster(gone)), credentials) is Outcome.UNAUTHENTICATED


@pytest.mark.parametrize("size", [10, 300 * 1024])
async def test_a_signed_body_is_checked_whole(size: int) -> None:
    body = b'{"cid":"a","x":"%s"}' % (b"x" * size)
    headers = [
        (name.encode(), text.encode()) for name, text in sign_webhook("m-1", body, SECRET, NOW.timestamp()).items()
    ]
    made, known = authenticator(Roster({"acme": SIGNS}, {})), builders.posted(body, received_at=NOW)
    good = Credentials(signed=SignedRequest(b"", "application/json", headers, body))
    assert (await made(known, good)).sender.name == "acme"
    changed = Credentials(signed=SignedRequest(b"", "application/json", headers, body.replace(b'"a"', b'"b"')))
    assert await refusal(made, changed) is Outcome.UNAUTHENTICATED
    assert await refusal(made, good, complete=False) is Outcome.UNAUTHENTICATED


async def test_a_large_body_waits_for_its_check_where_its_room_can_be_taken_from_it() -> None:
    """It is copied for the check when that begins, and two are checked at once."""
    made, body = authenticator(Roster({"acme": SIGNS}, {})), bytes(300 * 1024)
    headers = [(name.encode(), text.encode()) for name, text in sign_webhook("m", body, OTHER, NOW.timestamp()).items()]
    begun: list[int] = []
    done: list[int] = []

    async def send(number: int) -> None:
        reads = 0

        async def read(_claimed: str | None) -> bytes:
            nonlocal reads
            reads += 1
            if reads == 2:
                begun.append(number)
                assert len(begun) - len(done) <= 2
                if number == 2:
                    raise Rejected(Outcome.RATE_LIMITED, "pushed out")
            return body

        shown = Credentials(signed=SignedRequest(b"", "application/json", headers, b""), body=read)
        expected = Outcome.RATE_LIMITED if number == 2 else Outcome.UNAUTHENTICATED
        assert await refusal(made, shown) is expected
        done.append(number)

    await asyncio.gather(*map(send, range(5)))
    assert sorted(begun) == [0, 1, 2, 3, 4]


async def test_more_than_the_rate_is_told_to_wait_and_rows_count_as_postbacks() -> None:
    made, raw = authenticator(roster(SLOW)), builders.raw(received_at=NOW)
    told = [await made(raw, Credentials((KEY,))) for _ in range(11)]
    assert [caller.refusal is None for caller in told] == [True] * 10 + [False]
    assert told[-1].refusal
    assert (told[-1].refusal.outcome, told[-1].refusal.retry_after) == (Outcome.RATE_LIMITED, 1)
    told[0].charge(60)
    late = (await made(raw, Credentials((KEY,)))).refusal
    assert late
    assert 50 < late.retry_after <= 61


@pytest.mark.parametrize(
    ("check", "sender", "credentials", "outcome"),
    [
        ("address", HERE, Credentials((KEY,)), Outcome.FORBIDDEN),
        ("signature", SIGNS, Credentials((KEY,)), Outcome.UNAUTHENTICATED),
        ("credentials", SENDER, NO_CREDENTIALS, Outcome.UNAUTHENTICATED),
    ],
    ids=["address", "signature", "credentials"],
)
async def test_what_is_only_reported_is_accepted_and_told(
    check: Check, sender: KnownSender, credentials: Credentials, outcome: Outcome
) -> None:
    lenient = replace(sender, report_only=frozenset({check}))
    caller = await authenticator(roster(lenient))(builders.raw(received_at=NOW), credentials)
    assert (caller.refusal, caller.would_reject) == (None, (WouldReject(check, outcome),))


async def test_the_first_check_that_is_not_only_reported_refuses() -> None:
    sender = replace(SIGNS, networks=HERE.networks, report_only=frozenset({"address"}))
    caller = await authenticator(roster(sender))(builders.raw(received_at=NOW), Credentials((KEY,)))
    assert caller.would_reject == (WouldReject("address", Outcome.FORBIDDEN),)
    assert caller.refusal
    assert caller.refusal.outcome is Outcome.UNAUTHENTICATED


def tokens(**subjects: str | Exception) -> Any:
    """Return a judge of tokens who knows these."""

    async def verify(token: str, _now: object, _ask: object) -> str:
        found = subjects.get(token, Rejected(Outcome.UNAUTHENTICATED, "no good token"))
        if isinstance(found, Exception):
            raise found
        return found

    return verify


OAUTH = Roster({"acme": replace(SENDER, oauth_subject="client-7")}, {})


@pytest.mark.parametrize(
    ("token", "outcome"),
    [("good", None), ("bad", Outcome.UNAUTHENTICATED), ("strange", Outcome.FORBIDDEN)],
)
async def test_a_token_is_its_subjects_sender(token: str, outcome: Outcome | None) -> None:
    made = authenticator(OAUTH, verify=tokens(good="client-7", strange="client-8"))
    assert await refusal(made, Credentials(token=token)) is outcome


async def test_a_token_that_cannot_be_checked_now_is_worth_another_try() -> None:
    made = authenticator(OAUTH, verify=tokens(good=KeysUnavailable("away")))
    with pytest.raises(KeysUnavailable, match="cannot be checked now"):
        await made(builders.raw(received_at=NOW), Credentials(token="good"))


async def test_a_test_key_is_one_beside_a_signature_too() -> None:
    made = authenticator(roster(SIGNS, roster_key(is_test=True)))
    caller = await made(builders.raw(received_at=NOW), signed()._replace(keys=(KEY,)))
    assert isinstance(caller, Caller)
    assert caller.is_test


async def test_strangers_of_one_address_are_slowed_down_and_those_of_another_are_not() -> None:
    made = authenticator(roster(), strangers=5)
    told = [await refusal(made, NO_CREDENTIALS, client_ip="192.0.2.1") for _ in range(12)]
    assert told == [Outcome.UNAUTHENTICATED] * 10 + [Outcome.RATE_LIMITED] * 2
    assert await refusal(made, NO_CREDENTIALS, client_ip="192.0.2.2") is Outcome.UNAUTHENTICATED
    assert await refusal(made, Credentials((KEY,)), client_ip="192.0.2.1") is None


async def test_strangers_with_tokens_are_slowed_down_before_the_issuer_is_asked() -> None:
    asked = list[str]()

    async def verify(token: str, _now: object, ask: Callable[[], None]) -> str:
        ask()
        asked.append(token)
        raise KeysUnavailable("away")

    made = authenticator(OAUTH, verify=verify, strangers=5)
    told = list[object]()
    for _ in range(12):
        try:
            told.append(await refusal(made, Credentials(token="unknown"), client_ip="192.0.2.1"))
        except KeysUnavailable:
            told.append(KeysUnavailable)
    assert told == [KeysUnavailable] * 10 + [Outcome.RATE_LIMITED] * 2
    assert len(asked) == 10


async def test_a_stranger_with_a_token_is_charged_once() -> None:
    async def verify(_token: str, _now: object, ask: Callable[[], None]) -> str:
        ask()
        raise Rejected(Outcome.UNAUTHENTICATED, "the token names no key of the issuer")

    made = authenticator(OAUTH, verify=verify, strangers=5)
    told = [await refusal(made, Credentials(token="unknown"), client_ip="192.0.2.1") for _ in range(12)]
    assert told == [Outcome.UNAUTHENTICATED] * 10 + [Outcome.RATE_LIMITED] * 2
