"""Owns discovery: from an issuer's name to its metadata (RFC 8414, OpenID Discovery) to its JWK Set."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

from service.auth.oauth.issuer import Issuer, checked_url

Fetch = Callable[[str], Awaitable[bytes]]
_SHOWN = 200
_KNOWN_SECONDS = 3600.0  # an issuer that moves its keys may go on answering at the old place


class CannotRead(Exception):  # noqa: N818 - said of a document, not of this program
    """An issuer's document cannot be fetched, or is not valid; the message is one line for an operator."""


def metadata_urls(issuer: str) -> Iterator[str]:
    """Yield where an issuer's metadata may be: RFC 8414 puts the well-known name before its path, OpenID behind it."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    yield f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}"
    yield f"{parts.scheme}://{parts.netloc}{path}/.well-known/openid-configuration"


class KeySource:
    """Reads the JWK Set of an issuer, at its `keys_url` or where its metadata says."""

    def __init__(self, issuer: Issuer, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._known: tuple[str, float] | None = None

    async def read(self) -> bytes:
        """Return the document. Raises CannotRead. Where it is, is asked again after a failure, and every hour."""
        if self._issuer.keys_url:
            return await self._fetch(self._issuer.keys_url)
        known, self._known = self._known, None
        if known is None or self._clock() - known[1] >= _KNOWN_SECONDS:
            known = await self._discover(), self._clock()
        document = await self._fetch(known[0])
        self._known = known
        return document

    async def _discover(self) -> str:
        trouble = []
        for url in metadata_urls(self._issuer.url):
            try:
                return _keys_url(await self._fetch(url), self._issuer.url)
            except CannotRead as error:
                trouble.append(f"{url}: {error}")
        raise CannotRead("; ".join(trouble))


def _keys_url(document: bytes, issuer: str) -> str:
    """Return what the metadata names, if it is the issuer's own (RFC 8414, 3.3) and as safe as the issuer's name."""
    try:
        metadata: object = json.loads(document.decode("utf-8"))
    except (ValueError, RecursionError):
        raise CannotRead("the metadata is not JSON") from None
    if not isinstance(metadata, dict):
        raise CannotRead("the metadata is no JSON object")
    if metadata.get("issuer") != issuer:
        raise CannotRead(f"the metadata is of issuer {str(metadata.get('issuer'))[:_SHOWN]!r}, not {issuer!r}")
    url = str(metadata.get("jwks_uri", ""))
    try:
        checked_url(url, query=True)
    except ValueError as error:
        raise CannotRead(f"the metadata's jwks_uri cannot be used: {error}") from None
    if urlsplit(issuer).scheme == "https" and urlsplit(url).scheme != "https":
        raise CannotRead("the metadata's jwks_uri is less safe than the issuer: it should be https")
    return url
