"""Owns the verification of bearer tokens in this process: once with the issuer's keys, then cached for a minute."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from service.auth.oauth.access_token import issued_ago, read_token, verify
from service.auth.oauth.discovery import KeySource
from service.auth.oauth.issuer import Issuer
from service.auth.oauth.issuer_keys import IssuerKeys, KeyName, Keys, ignore_trouble
from service.auth.oauth.key_fetch import KeyFetch

MOST_KNOWN = 4096
KNOWN_SECONDS = 60.0


class _Known(NamedTuple):
    sender: str
    keys: Keys
    since: float
    until: float


class TokenVerifier:
    """Verifies tokens and caches the result by the token's SHA-256, so that no token stays in memory.

    A cached result is valid only with the keys that verified it: when a key is removed, its tokens are removed too.
    `running()` keeps the keys fresh; without it every token raises KeysUnavailable.
    """

    def __init__(self, issuer: Issuer, keys: IssuerKeys, most_known: int = MOST_KNOWN) -> None:
        self.running: Callable[[], AbstractAsyncContextManager[None]] = keys.running
        self._issuer = issuer
        self._keys = keys
        self._most_known = most_known
        self._known: dict[bytes, _Known] = {}

    async def verify(self, token: str, now: datetime, ask: Callable[[], None] = lambda: None) -> str:
        """Return the sender that the token names. Raises Rejected (401, 403), or KeysUnavailable: try again later.

        `ask` is called before the issuer is asked for a key that is not known; it may raise Rejected.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        at = now.timestamp()
        known = self._known.get(digest)
        if known and known.since <= at < known.until and known.keys is self._keys.current():
            return known.sender
        unverified = read_token(token)
        name = KeyName(unverified.kid, unverified.algorithm)
        if not self._keys.known(name):
            name = name._replace(issued_ago=issued_ago(unverified, self._issuer, now))
        keys = await self._keys.including(name, ask)
        grant = verify(unverified, keys, self._issuer, now)
        self._remember(digest, _Known(grant.sender, keys, at, min(at + KNOWN_SECONDS, grant.expires)))
        return grant.sender

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known.pop(digest, None)
        while len(self._known) >= self._most_known:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def verifier_for(issuer: Issuer, tell: Callable[[str | None], None] = ignore_trouble) -> TokenVerifier:
    """Return the verifier for one issuer, whose keys come by HTTP; `tell` is as for IssuerKeys."""
    return TokenVerifier(issuer, IssuerKeys(KeySource(issuer, KeyFetch()).read, tell=tell))
