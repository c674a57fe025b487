"""Owns the HTTP requests for an issuer's documents: one GET, no redirect, a bounded answer."""

import ssl
from urllib.parse import urlsplit

import httpx2

from service.auth.networks import is_loopback
from service.auth.oauth.discovery import CannotRead

MOST_BYTES = 256 * 1024
_OK = 200
_SHOWN = 200


class KeyFetch:
    """Called with a URL, returns the body of the answer.

    The certificate authorities and proxies of the environment are used, proxies not for this machine. There is no
    time-out here: the caller has one for all that it reads, and httpx2's starts anew at every byte.
    """

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()  # honours SSL_CERT_FILE, for a private authority

    async def __call__(self, url: str) -> bytes:
        """Return the document at this URL. Raises CannotRead."""
        try:
            async with self._client(url) as client, client.stream("GET", url) as response:
                return await _body(response)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = " ".join(f"{type(error).__name__} {error}".split())[:_SHOWN]
            raise CannotRead(f"no answer ({reason})") from error

    def _client(self, url: str) -> httpx2.AsyncClient:
        """Make one for each request: they are seconds apart, and no connection would be kept as long."""
        return httpx2.AsyncClient(
            verify=self._tls,
            timeout=None,
            follow_redirects=False,  # it would lead to where nobody said that keys may come from
            trust_env=not is_loopback(urlsplit(url).hostname or ""),
            headers={"User-Agent": "postback-receiver", "Accept": "application/json", "Accept-Encoding": "identity"},
        )


async def _body(response: httpx2.Response) -> bytes:
    if response.status_code != _OK:
        raise CannotRead(f"the answer is HTTP {response.status_code}; only 200 is taken")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise CannotRead("the answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise CannotRead(f"the answer is larger than {MOST_BYTES} bytes")
    return bytes(body)
