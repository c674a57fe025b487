"""Verified tokens are known for a minute: no longer than they or their keys are valid, and never too many."""

from datetime import timedelta

import pytest

from service.core.outcome import Outcome
from tests.support.tokens import ED, NOW, RSA, TIME, key_set, token
from tests.support.watched_issuer import verifications, watched

pytestmark = pytest.mark.anyio


async def test_a_known_token_is_not_verified_again_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = verifications(monkeypatch)
    async with watched(monkeypatch, key_set(RSA)) as it:
        text = token(exp=TIME + 300)
        for second in (0, 1, 59):
            await it.sender(text, NOW + timedelta(seconds=second))
        assert len(verified) == 1
        await it.sender(text, NOW + timedelta(seconds=60))
        assert len(verified) == 2
        await it.sender(text, NOW - timedelta(seconds=1))
        assert len(verified) == 3


async def test_a_known_token_stays_known_when_the_same_keys_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = verifications(monkeypatch)
    async with watched(monkeypatch, key_set(RSA)) as it:
        text = token()
        await it.sender(text)
        await it.pass_time(50)
        await it.sender(text, NOW + timedelta(seconds=50))
        assert it.fetches > 1
        assert len(verified) == 1


async def test_a_known_token_is_not_known_longer_than_it_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        text = token(exp=TIME - 30)
        assert await it.sender(text) == "ezmob"
        assert await it.refusal(text, NOW + timedelta(seconds=30)) is Outcome.UNAUTHENTICATED


async def test_a_refused_token_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch, key_set(RSA)) as it:
        text = token(scope="other")
        assert [await it.refusal(text) for _ in range(2)] == [Outcome.FORBIDDEN] * 2


async def test_no_more_tokens_are_known_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = verifications(monkeypatch)
    async with watched(monkeypatch, key_set(RSA, ED), most_known=3) as it:
        texts = [token(key=ED, algorithm="EdDSA", jti=str(number)) for number in range(4)]
        for text in texts:
            await it.sender(text)
        for text in texts[1:]:
            await it.sender(text)
        assert len(verified) == 4
        await it.sender(texts[0])
        assert len(verified) == 5
