"""Owns what a request shows of who it is: taken out of headers and query at the door, never stored and never logged.

It travels beside the raw postback, not in it, so nothing that keeps or tells postbacks can keep or tell it.
"""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from service.auth.signature import WEBHOOK_HEADERS, Sent, without_signature
from service.core.redaction import PREFIX

_PARAMETER = b"key="
PROOFS = frozenset((b"authorization", b"x-api-key", *WEBHOOK_HEADERS))  # headers


class Credentials(NamedTuple):
    """What was shown: API keys, each once however often it was given, a bearer token that is no API key, a signature.

    `signed` is what the signature is about, as it came: with the key in it, if there was one in the query.
    """

    keys: tuple[str, ...] = ()
    token: str = ""
    signed: Sent | None = None

    def __repr__(self) -> str:
        """Say how many there are, and never what they are."""
        return f"Credentials({self.number})"

    @property
    def number(self) -> int:
        """How many different ones were shown."""
        return len(self.keys) + bool(self.token)


NOTHING = Credentials()


def shown_in(query: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[bytes, Credentials]:
    """Return the query without what proves the sender, and all that does."""
    bare, queried = take_key(query)
    if len(queried) == 1 and b"sig=" not in bare and PROOFS.isdisjoint(dict(headers)):  # as most are
        return bare, Credentials((queried[0],))
    webhook = [pair for pair in headers if pair[0] in WEBHOOK_HEADERS]
    signed: Sent | None = None
    if webhook or b"&sig=" in bare or bare.startswith(b"sig="):
        signed = Sent(query, dict(headers).get(b"content-type", b"").decode("latin-1"), webhook, body)
        bare = without_signature(bare)
    authorizations = [value for name, value in headers if name == b"authorization"]
    api_keys = [value for name, value in headers if name == b"x-api-key"]
    shown = authorizations or api_keys or queried or signed
    return bare, credentials_of(authorizations, api_keys, queried, signed) if shown else NOTHING


def take_key(query: bytes) -> tuple[bytes, list[str]]:
    """Return the query without the parameter `key`, all else byte for byte, and what that held."""
    if _PARAMETER not in query:
        return query, []
    bare, _, last = query.rpartition(b"&key=")
    if bare and _PARAMETER not in bare and b"&" not in last and b"%" not in last:  # as we hand out the URL
        return bare, [_text(last)]
    parts = query.split(b"&")
    shown = [part[len(_PARAMETER) :] for part in parts if part.startswith(_PARAMETER)]
    keys = [_text(unquote_to_bytes(part) if b"%" in part else part) for part in shown]
    return b"&".join([part for part in parts if not part.startswith(_PARAMETER)]), keys


def credentials_of(
    authorizations: Sequence[bytes], api_keys: Sequence[bytes], queried: Sequence[str], signed: Sent | None = None
) -> Credentials:
    """Return what the Authorization and X-API-Key headers, the query and the signature show together."""
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
