"""Owns credentials: they are taken out of headers and query at the door, never stored and never logged.

They travel beside the raw postback, not in it, so whatever stores or logs a postback cannot store or log them.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from service.auth.signature import WEBHOOK_HEADERS, SignedRequest, without_signature
from service.core.secret_texts import PREFIX

_PARAMETER = b"key="
_ELSEWHERE = re.compile(rb"(?:^|[?;&])([A-Za-z0-9_.\-]{1,40})=pbk_[0-9a-z]")
_IN_BODY = re.compile(rb"\bpbk_[0-9a-z]")
PROOFS = frozenset((b"authorization", b"x-api-key", *WEBHOOK_HEADERS))  # headers


class Credentials(NamedTuple):
    """The credentials of one request: distinct API keys, a bearer token that is not an API key, a signature.

    `signed` is the signed request as it came, including an API key in its query. `body` reads its body, if that is
    not in it yet, and is told whose good key or token was shown beside it (None: nobody's). It returns None when the
    body broke off. It raises Overloaded, and `Rejected` where nobody is known.
    """

    keys: tuple[str, ...] = ()
    token: str = ""
    signed: SignedRequest | None = None
    body: Callable[[str | None], Awaitable[bytes | None]] | None = None

    def __repr__(self) -> str:
        """Say how many there are, and never what they are."""
        return f"Credentials({self.number})"

    @property
    def number(self) -> int:
        """How many different keys and tokens there are."""
        return len(self.keys) + bool(self.token)

    @property
    def shown(self) -> bool:
        """Whether there are any."""
        return bool(self.keys or self.token or self.signed)


NO_CREDENTIALS = Credentials()


def shown_in(query: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[bytes, Credentials]:
    """Return the query without what proves the sender, and all that does."""
    text = query.decode("latin-1")  # to search text costs a fifth of searching bytes
    if not headers and "sig=" not in text:
        if "key=" not in text:
            return query, NO_CREDENTIALS
        before, found, key = text.rpartition("&key=")
        handed_out = found and key.isascii() and "&" not in key and "%" not in key and "?" not in key
        if handed_out and "key=" not in before:
            values = ((key,), "", None, None)
            return query[: len(before)], tuple.__new__(Credentials, values)  # its own __new__ is a function in Python
    bare, queried = extract_keys(query)
    webhook = [pair for pair in headers if pair[0] in WEBHOOK_HEADERS]
    signed: SignedRequest | None = None
    if webhook or b"&sig=" in bare or bare.startswith(b"sig="):
        signed = SignedRequest(query, dict(headers).get(b"content-type", b"").decode("latin-1"), webhook, body)
        bare = without_signature(bare)
    authorizations = [value for name, value in headers if name == b"authorization"]
    api_keys = [value for name, value in headers if name == b"x-api-key"]
    shown = authorizations or api_keys or queried or signed
    return bare, credentials_of(authorizations, api_keys, queried, signed) if shown else NO_CREDENTIALS


def extract_keys(query: bytes) -> tuple[bytes, list[str]]:
    """Return the query without the parameter `key`, all else byte for byte, and the keys it held."""
    if _PARAMETER not in query:
        return query, []
    parts = query.split(b"&")
    shown = [part.strip(b"?")[len(_PARAMETER) :] for part in parts if _is_key(part)]
    keys = [_text(unquote_to_bytes(part) if b"%" in part else part) for part in shown]
    return b"&".join([part for part in parts if not _is_key(part)]), keys


def _is_key(part: bytes) -> bool:
    """Tell whether a part of a query is the key: a `?` before or behind all of a query is no part of it."""
    return part.lstrip(b"?").startswith(_PARAMETER)


def key_elsewhere(query: bytes, body: bytes) -> str:
    """Say where an API key stands that nobody looks for there; nothing if there is none."""
    if found := _ELSEWHERE.search(query):
        return f"the URL has one as {found[1].decode()}, and the parameter is called key"
    return "the body has one, and it belongs into the URL or a header" if _IN_BODY.search(body) else ""


def credentials_of(
    authorizations: Sequence[bytes],
    api_keys: Sequence[bytes],
    queried: Sequence[str],
    signed: SignedRequest | None = None,
) -> Credentials:
    """Return the credentials in the Authorization and X-API-Key headers, the query and the signature together."""
    keys = [*map(_text, api_keys), *queried]
    tokens: list[str] = []
    for authorization in authorizations:
        scheme, _, shown = authorization.strip().partition(b" ")
        match scheme.lower():
            case b"bearer":
                text = _text(shown.strip())
                (keys if text.startswith(PREFIX) else tokens).append(text)
            case b"basic":
                keys += _basic(shown.strip())
            case _:  # a proxy's, or nothing that we know
                pass
    if len(set(tokens)) > 1:
        keys += tokens[1:]  # so that there are two
    return Credentials(tuple(dict.fromkeys(keys)), tokens[0] if tokens else "", signed)


def _basic(encoded: bytes) -> list[str]:
    """Return the key in `user:password` (RFC 7617): whichever of the two is one, else the password, if there is any."""
    try:
        decoded = _text(b64decode(encoded, validate=True))
    except binascii.Error:
        return [""]
    user, _, password = decoded.partition(":")
    return [text for text in (user, password) if text.startswith(PREFIX)] or [password or user]


def _text(sent: bytes) -> str:
    return sent.decode("utf-8", "replace")
