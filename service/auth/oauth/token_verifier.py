"""Owns the way of a bearer token through this process: judged once with the issuer's keys, then known for a minute."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from service.auth.oauth.access_token import read_token, verify
from service.auth.oauth.discovery import KeySource
from service.auth.oauth.issuer import Issuer
from service.auth.oauth.issuer_keys import Keys, KeySet, tell_nobody
from service.auth.oauth.key_fetch import KeyFetch

MOST_KNOWN = 4096
KNOWN_SECONDS = 60.0


class _Known(NamedTuple):
    sender: str
    keys: Keys
    since: float
    until: float


class BearerTokens:
    """Says who sends with a token. Known tokens are found by their SHA-256, so that none is kept in memory.

    What is known of a token falls with the keys it was verified by: a key that was removed takes its tokens with it.
    `running()` keeps the keys fresh; without it every token is KeysUnavailable.
    """

    def __init__(self, issuer: Issuer, keys: KeySet) -> None:
        self.running: Callable[[], AbstractAsyncContextManager[None]] = keys.running
        self._issuer = issuer
        self._keys = keys
        self._known: dict[bytes, _Known] = {}

    async def verify(self, token: str, now: datetime) -> str:
        """Return the sender that the token names. Raises Rejected (401, 403), or KeysUnavailable: try again later."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        at = now.timestamp()
        known = self._known.get(digest)
        if known and known.since <= at < known.until and known.keys is self._keys.current():
            return known.sender
        unverified = read_token(token)
        keys = await self._keys.having(unverified.kid, unverified.algorithm)
        grant = verify(unverified, keys, self._issuer, now)
        self._remember(digest, _Known(grant.sender, keys, at, min(at + KNOWN_SECONDS, grant.expires)))
        return grant.sender

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known.pop(digest, None)
        while len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def bearer_tokens(issuer: Issuer, tell: Callable[[str | None], None] = tell_nobody) -> BearerTokens:
    """Wire the tokens of one issuer, whose keys come by HTTP; `tell` hears why they do not, and None when they do."""
    return BearerTokens(issuer, KeySet(KeySource(issuer, KeyFetch()).read, tell=tell))
