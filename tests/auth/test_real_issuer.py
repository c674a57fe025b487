"""A real OAuth server (oidc-provider): its tokens through its own discovery, its keys rotated, its death and return."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.auth.oauth.discovery import KeySource
from service.auth.oauth.issuer import Issuer, KeysUnavailable
from service.auth.oauth.issuer_keys import IssuerKeys
from service.auth.oauth.key_fetch import KeyFetch
from service.auth.oauth.token_verifier import TokenVerifier, verifier_for
from service.core.outcome import Outcome, Rejected
from tests.support.fakes import LoopClock, in_time
from tests.support.issuers import loop_time
from tests.support.real_issuer import real_issuer

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@asynccontextmanager
async def trusting(issuer: Issuer) -> AsyncIterator[TokenVerifier]:
    """Verify its tokens with the keys that it publishes, on the loop's clock, which a test can move."""
    tokens = TokenVerifier(issuer, IssuerKeys(KeySource(issuer, KeyFetch(), loop_time).read, loop_time))
    async with tokens.running():
        yield tokens


UNAVAILABLE = "unavailable"


async def verdict(tokens: TokenVerifier, text: str) -> str:
    """Return the sender, or the word for why there is none."""
    try:
        return await in_time(tokens.verify(text, datetime.now(UTC)))
    except Rejected as rejected:
        return rejected.outcome
    except KeysUnavailable:
        return UNAVAILABLE


async def settled(tokens: TokenVerifier, text: str) -> str:
    """Return the verdict, sent again as a sender would, for a busy machine may not read the keys within a second."""
    async with asyncio.timeout(60):
        while (word := await verdict(tokens, text)) == UNAVAILABLE:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
    return word


async def comes_to(expected: str, tokens: TokenVerifier, text: str) -> None:
    """Ask until the verdict is this one."""
    async with asyncio.timeout(60):
        while await verdict(tokens, text) != expected:  # noqa: ASYNC110 - it is another process that comes to it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_its_tokens_are_verified_through_discovery(algorithm: str) -> None:
    async with real_issuer() as real:
        tokens = verifier_for(real.issuer)
        async with tokens.running():
            assert await settled(tokens, await real.token(algorithm)) == algorithm


async def test_its_keys_can_be_named_instead() -> None:
    async with real_issuer() as real:
        tokens = verifier_for(replace(real.issuer, keys_url=f"{real.issuer.url}/jwks"))
        async with tokens.running():
            assert await settled(tokens, await real.token()) == "RS256"


async def test_what_it_gives_for_others_is_refused() -> None:
    async with real_issuer() as real, trusting(real.issuer) as tokens:
        assert await settled(tokens, await real.token(scope="other")) == Outcome.FORBIDDEN
        assert await settled(tokens, await real.token(scope=None)) == Outcome.FORBIDDEN
        assert await settled(tokens, await real.token(resource="https://other.example")) == Outcome.UNAUTHENTICATED
        assert await settled(tokens, await real.token(resource=None)) == Outcome.UNAUTHENTICATED


async def test_another_server_of_the_same_kind_is_a_stranger() -> None:
    async with real_issuer() as real, real_issuer() as other, trusting(real.issuer) as tokens:
        assert await settled(tokens, await other.token()) == Outcome.UNAUTHENTICATED


async def test_after_a_rotation_new_tokens_are_taken_at_once_and_old_ones_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock(monkeypatch)
    async with real_issuer() as real, trusting(real.issuer) as tokens:
        old = await real.token()
        assert await settled(tokens, old) == "RS256"
        await real.command("rotate")
        assert await settled(tokens, await real.token()) == "RS256"
        clock.move(30)
        await comes_to(Outcome.UNAUTHENTICATED, tokens, old)


async def test_in_an_overlap_both_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock(monkeypatch)
    async with real_issuer() as real, trusting(real.issuer) as tokens:
        old = await real.token()
        assert await settled(tokens, old) == "RS256"
        await real.command("overlap")
        assert await settled(tokens, await real.token()) == "RS256"
        clock.move(30)
        assert await settled(tokens, old) == "RS256"


async def test_its_death_is_not_noticed_for_an_hour_and_its_return_with_new_keys_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock(monkeypatch)
    async with real_issuer() as real:
        issuer, port, old, unseen = real.issuer, real.port, await real.token(), await real.token()
        async with trusting(issuer) as tokens:
            assert await settled(tokens, old) == "RS256"
            real.process.kill()
            await real.process.wait()
            clock.move(3500)
            assert await settled(tokens, unseen) == "RS256"
            clock.move(101)
            await comes_to(UNAVAILABLE, tokens, unseen)
            async with real_issuer(port) as returned:
                new = await returned.token()
                clock.move(5)
                await comes_to("RS256", tokens, new)
                assert await settled(tokens, old) == Outcome.UNAUTHENTICATED


async def test_a_service_that_starts_before_it_serves_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock(monkeypatch)
    async with real_issuer() as real:
        issuer, port, old = real.issuer, real.port, await real.token()
    async with trusting(issuer) as tokens:
        assert await verdict(tokens, old) == UNAVAILABLE
        async with real_issuer(port) as real:
            new = await real.token()
            clock.move(5)
            await comes_to("RS256", tokens, new)
