"""Owns an issuer whose keys and tokens a service watches while a test lets time pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from anyio.lowlevel import checkpoint

from service.auth.oauth.discovery import CannotRead, KeySource
from service.auth.oauth.issuer import Issuer, KeysUnavailable
from service.auth.oauth.issuer_keys import IssuerKeys
from service.auth.oauth.jwks import VerifyingKey
from service.auth.oauth.token_verifier import MOST_KNOWN, TokenVerifier
from service.core.outcome import Outcome, Rejected
from tests.support.fakes import LoopClock, in_time
from tests.support.issuers import Documents, loop_time
from tests.support.tokens import ISSUER as DISCOVERED
from tests.support.tokens import NOW

KEYS_URL = "https://issuer.example/keys"

ISSUER = replace(DISCOVERED, keys_url=KEYS_URL)

OTHER = CannotRead("the issuer is away")


@dataclass
class Watched:
    """An issuer that is watched by a service whose time a test lets pass."""

    issuer: Documents
    keys: IssuerKeys
    tokens: TokenVerifier
    clock: LoopClock
    told: list[str | None]

    def publish(self, document: bytes | Exception) -> None:
        """Answer so from now on."""
        self.issuer.by_url[KEYS_URL] = document

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, a second at a time, so that all happens that would."""
        for _ in range(round(seconds)):
            self.clock.move(1)
            await settle()

    async def sender(self, text: str, now: datetime = NOW) -> str:
        """Return the sender of a token."""
        return await in_time(self.tokens.verify(text, now))

    async def refusal(self, text: str, now: datetime = NOW) -> Outcome | type[KeysUnavailable]:
        """Return how a token was refused."""
        try:
            sender = await self.sender(text, now)
        except Rejected as rejected:
            return rejected.outcome
        except KeysUnavailable:
            return KeysUnavailable
        raise AssertionError(sender)

    @property
    def fetches(self) -> int:
        """Say how many requests the issuer got."""
        return len(self.issuer.asked)


async def settle() -> None:
    """Let everything happen that is ready."""
    for _ in range(20):
        await checkpoint()


@asynccontextmanager
async def watched(
    monkeypatch: pytest.MonkeyPatch,
    document: bytes | Exception = OTHER,
    issuer: Issuer = ISSUER,
    most_known: int = MOST_KNOWN,
) -> AsyncIterator[Watched]:
    """Watch an issuer that publishes this document."""
    clock, told = LoopClock(monkeypatch), list[str | None]()
    documents = Documents(**{KEYS_URL: document})
    keys = IssuerKeys(KeySource(issuer, documents, loop_time).read, loop_time, told.append)
    tokens = TokenVerifier(issuer, keys, most_known)
    async with tokens.running():
        await settle()
        yield Watched(documents, keys, tokens, clock, told)


def verifications(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the list of what is verified from now on."""
    verified, genuine = list[bytes](), VerifyingKey.signed

    def signed(key: VerifyingKey, text: bytes, signature: bytes) -> bool:
        verified.append(text)
        return genuine(key, text, signature)

    monkeypatch.setattr(VerifyingKey, "signed", signed)
    return verified
