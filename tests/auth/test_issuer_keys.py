"""The keys of an issuer: what is fetched and how often, what stands through an outage, what a token meanwhile gets."""

import asyncio
from datetime import timedelta

import pytest

from service.auth.oauth.issuer import KeysUnavailable
from service.core.outcome import Outcome
from tests.support.fakes import in_time
from tests.support.tokens import EC, GONE, NOW, RSA, TIME, key_set, token, token_of
from tests.support.watched_issuer import OTHER, settle, watched

pytestmark = pytest.mark.anyio

MINUTE = 60


async def test_the_keys_are_read_at_the_start_and_then_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        assert it.fetches == 1
        assert await it.sender(token()) == "ezmob"
        await it.pass_time(10 * MINUTE)
        assert 20 <= it.fetches <= 30


async def test_nothing_is_read_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.issuer.gate.clear()
        await it.pass_time(30)
    fetches = it.fetches
    await it.pass_time(2 * MINUTE)
    assert it.fetches == fetches


async def test_a_token_of_a_new_key_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(key_set(RSA, EC))
        assert await it.sender(token(key=EC, algorithm="ES256")) == "ezmob"
        assert it.fetches == 2


async def test_a_new_key_is_known_within_a_minute_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(key_set(EC))
        await it.pass_time(MINUTE)
        assert [key.kid for key in it.keys.current()] == ["ec"]


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_a_removed_key_takes_its_known_tokens_with_it_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    async with watched(monkeypatch, key_set(RSA, EC)) as it:
        assert await it.sender(token()) == "ezmob"
        before = it.fetches
        for _ in range(MINUTE):
            it.publish(OTHER if it.fetches - before < failures else key_set(EC))
            await it.pass_time(1)
        assert await it.refusal(token()) is Outcome.UNAUTHENTICATED
        assert await it.sender(token(key=EC, algorithm="ES256")) == "ezmob"


async def test_a_known_token_falls_with_its_key_though_it_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA, EC)) as it:
        text = token()
        assert await it.sender(text) == "ezmob"
        it.publish(key_set(EC))
        await it.pass_time(30)
        assert await it.refusal(text, NOW + timedelta(seconds=30)) is Outcome.UNAUTHENTICATED


@pytest.mark.parametrize(
    "answer",
    [OTHER, RuntimeError("unforeseen"), b"<html>busy</html>", b"", b'{"keys": 1}'],
    ids=["away", "unforeseen", "html", "empty", "no_set"],
)
async def test_an_outage_of_59_minutes_is_not_noticed_and_after_61_tokens_are_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(answer)
        await it.pass_time(59 * MINUTE)
        assert await it.sender(token()) == "ezmob"
        known = token()
        assert await it.sender(known) == "ezmob"
        await it.pass_time(2 * MINUTE)
        assert await it.refusal(token()) is KeysUnavailable
        assert await it.refusal(known) is KeysUnavailable
        it.publish(key_set(RSA))
        await it.pass_time(10)
        assert await it.sender(token()) == "ezmob"


async def test_an_outage_is_told_once_and_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(OTHER)
        await it.pass_time(5 * MINUTE)
        assert it.told == ["the issuer is away"]
        it.publish(key_set(RSA))
        await it.pass_time(10)
        assert it.told == ["the issuer is away", None]


async def test_an_issuer_that_hangs_is_an_outage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.issuer.gate.clear()
        await it.pass_time(MINUTE)
        assert it.told == ["no answer within 5 seconds"]
        assert await it.sender(token()) == "ezmob"
        it.issuer.gate.set()
        await it.pass_time(10)
        assert it.told[-1] is None


async def test_without_any_key_a_good_token_is_to_be_sent_again_and_a_bad_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched(monkeypatch) as it:
        assert await it.refusal(token()) is KeysUnavailable
        assert await it.refusal("nonsense") is Outcome.UNAUTHENTICATED
        it.publish(key_set(RSA))
        await it.pass_time(5)
        assert await it.sender(token()) == "ezmob"


async def test_a_token_that_comes_before_the_first_answer_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch) as it:
        it.publish(key_set(RSA))
        it.issuer.gate.clear()
        await it.pass_time(5)
        asking = asyncio.create_task(it.sender(token()))
        await settle()
        it.issuer.gate.set()
        assert await in_time(asking) == "ezmob"


async def test_an_issuer_that_hangs_costs_a_token_a_second_and_no_sender_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.issuer.gate.clear()
        asking = asyncio.create_task(it.refusal(token(key=EC, algorithm="ES256")))
        await settle()
        assert not asking.done()
        await it.pass_time(1)
        assert asking.done()
        assert await asking is KeysUnavailable


@pytest.mark.parametrize(
    "document", [b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'], ids=["none", "other"]
)
async def test_an_issuer_that_withdraws_all_keys_is_believed_but_no_sender_is_sent_away(
    monkeypatch: pytest.MonkeyPatch, document: bytes
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        assert await it.sender(token()) == "ezmob"
        it.publish(document)
        await it.pass_time(MINUTE)
        assert await it.refusal(token()) is KeysUnavailable


async def test_a_flood_of_unknown_names_costs_one_fetch_in_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        flood = [token(key=EC, algorithm="ES256", header={"kid": f"made-up-{number}"}) for number in range(200)]
        background = it.fetches
        for number, text in enumerate(flood):
            assert await it.refusal(text) is Outcome.UNAUTHENTICATED
            if number % 10 == 9:
                await it.pass_time(1)
        seconds = len(flood) // 10
        assert it.fetches - background <= 1 + seconds // 25 + seconds // 30


async def test_a_flood_during_an_outage_costs_no_more_and_is_to_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(OTHER)
        for number in range(50):
            assert await it.refusal(token(header={"kid": f"made-up-{number}"})) is KeysUnavailable
        assert it.fetches == 2
        assert await it.sender(token()) == "ezmob"


async def test_many_who_ask_at_once_share_one_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(key_set(RSA, EC))
        it.issuer.gate.clear()
        asking = [asyncio.create_task(it.sender(token(key=EC, algorithm="ES256"))) for _ in range(50)]
        await settle()
        it.issuer.gate.set()
        assert await in_time(asyncio.gather(*asking)) == ["ezmob"] * 50
        assert it.fetches == 2


async def test_one_who_gives_up_takes_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(key_set(RSA, EC))
        it.issuer.gate.clear()
        first, second = (asyncio.create_task(it.sender(token(key=EC, algorithm="ES256"))) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        it.issuer.gate.set()
        assert await in_time(second) == "ezmob"


async def test_while_an_issuer_hangs_known_keys_wait_for_nothing_and_one_reading_costs_a_second_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.issuer.gate.clear()
        first = asyncio.create_task(it.refusal(token(key=EC, algorithm="ES256")))
        await settle()
        assert await it.sender(token()) == "ezmob"
        await it.pass_time(2)
        assert await first is KeysUnavailable
        fetches = it.fetches
        others = [asyncio.create_task(it.refusal(token(header={"kid": f"made-up-{number}"}))) for number in range(50)]
        await settle()  # nobody waits again for the same reading
        assert [other.done() and other.result() for other in others] == [KeysUnavailable] * 50
        assert it.fetches == fetches


async def test_a_name_that_the_issuer_does_not_have_is_refused_though_the_issuer_hangs_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        unknown = token(header={"kid": "made-up"})
        assert await it.refusal(unknown) is Outcome.UNAUTHENTICATED
        it.issuer.gate.clear()
        await it.pass_time(29)
        assert await it.refusal(unknown) is Outcome.UNAUTHENTICATED
        await it.pass_time(2)
        assert await it.refusal(unknown) is KeysUnavailable


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ({}, KeysUnavailable),
        ({"iat": GONE}, KeysUnavailable),
        ({"iat": TIME - 200}, Outcome.UNAUTHENTICATED),  # its key would have been read since
        ({"iss": "https://other.example"}, Outcome.UNAUTHENTICATED),
        ({"aud": "https://other.example"}, Outcome.UNAUTHENTICATED),
        ({"exp": TIME - 100}, Outcome.UNAUTHENTICATED),
        ({"client_id": 1}, Outcome.UNAUTHENTICATED),
        ({"iat": "now"}, Outcome.UNAUTHENTICATED),
    ],
    ids=str,
)
async def test_only_a_token_that_could_be_good_is_to_be_sent_again_while_the_issuer_is_away(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, object], refused: object
) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        it.publish(OTHER)
        await it.pass_time(60)
        fetches = it.fetches
        assert await it.refusal(token_of(claims, {"kid": "new"})) is refused
        assert it.fetches - fetches <= (refused is KeysUnavailable or "iat" in claims)
