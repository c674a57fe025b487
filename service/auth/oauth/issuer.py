"""Owns what an OAuth issuer is: its name as the operator writes it, and what its tokens must say."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from service.auth.networks import is_loopback
from service.core.unavailable import Unavailable

SENDER_CLAIMS = ("client_id", "azp", "sub")  # RFC 9068; OpenID Connect's name for the same; whom it is about


class KeysUnavailable(Unavailable):
    """A token cannot be verified now, so the request must be sent again later; the message says why."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OAuth 2.0 authorization server: `url` is its name, as `iss` has it, to the letter.

    Its tokens must be for `audience` and allow `scope`; who sends is in the first of `sender_claims` that a token has.
    `keys_url` is where its keys are, None if its metadata says so.
    """

    url: str
    audience: str
    scope: str = "postback"
    sender_claims: tuple[str, ...] = SENDER_CLAIMS
    keys_url: str | None = None


def checked_url(url: str, *, query: bool = False) -> str:
    """Return a URL that keys may be fetched from. Raises ValueError for one that an attacker on the way could answer.

    Only https, or http to this machine (a test, a sidecar). An issuer has no query or fragment (RFC 8414, 2).
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it should be a URL, such as https://issuer.example/")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("it should be an https URL (http only for a loopback address)")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user name or password is not taken: it would be shown")
    if parts.fragment or (parts.query and not query):
        raise ValueError("it should have no query or fragment")
    return url
