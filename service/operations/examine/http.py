"""Owns the HTTP requests of an examination: bounded in time and size, without following a redirect."""

import ssl
import time
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from service.auth.networks import is_loopback
from service.operations.errors import Refused

_MOST_BYTES = 8_000_000


class NoAnswer(Exception):  # noqa: N818 - what happened
    """No complete answer came; the message says why."""


class UnusableUrl(Refused):
    """A URL that cannot be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; header names are lower-case, `seconds` is how long it took as a whole."""

    status: int
    headers: dict[str, str]
    text: str
    seconds: float

    @property
    def process(self) -> str:
        """The start that all request ids of one serving process have in common; empty if there is none."""
        request_id = self.headers.get("x-request-id", "")
        return request_id[:16] if len(request_id) == 32 and request_id.isalnum() else ""  # noqa: PLR2004 - hex digits


def fetch(url: str, *, timeout: float, method: str = "GET", verify: bool = True) -> Answer:
    """Send one request. Raises NoAnswer. Proxies of the environment are used, but not for loopback."""
    client = httpx2.Client(
        verify=_tls(verify=verify),
        timeout=timeout,
        follow_redirects=False,  # no sender follows them
        trust_env=proxied(url),
        headers={"User-Agent": "postback-doctor", "Accept-Encoding": "identity"},
    )
    started = time.monotonic()
    try:
        with client, client.stream(method, url) as response:
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _MOST_BYTES or time.monotonic() - started > 2 * timeout:
                    raise NoAnswer("its answer does not come to an end")
    except httpx2.RequestError as error:
        raise NoAnswer(_reason(error, timeout)) from error
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body.decode("utf-8", "replace"), time.monotonic() - started)


def checked_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises UnusableUrl unless it is http(s)://host[:port] alone."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UnusableUrl(str(error)) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise UnusableUrl(f"{url!r} is not an http:// or https:// URL")
    if parts.username or parts.password:
        raise UnusableUrl("a URL with a user name or password is not taken: it would be shown")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise UnusableUrl(f"{url!r}: give the address only, as in {parts.scheme}://{parts.netloc}")
    return f"{parts.scheme}://{parts.netloc}"


def local_url(host: str, port: int, *, tls: bool) -> str:
    """Return the URL at which this machine reaches a listener; one on 0.0.0.0 or :: is reached at loopback."""
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound
    reached = wildcard.get(host, host)
    authority = f"[{reached}]" if ":" in reached else reached
    return f"{'https' if tls else 'http'}://{authority}:{port}"


def proxied(url: str) -> bool:
    """Tell whether a proxy of the environment stands between here and the URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return not is_loopback(host) and parts.scheme in getproxies() and not proxy_bypass(host)


@cache
def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()  # honours SSL_CERT_FILE, for a private authority
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: httpx2.RequestError, timeout: float) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer within {timeout:g} s"
    text = "".join(character if character.isprintable() else "?" for character in str(error))
    return text[:200] or type(error).__name__
