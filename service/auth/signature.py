"""Owns signed postbacks: which part of a request is signed, how old a signature may be, and which secrets verify it.

A body is signed as Standard Webhooks says (standardwebhooks.com), a query by its last two parameters, `ts` and `sig`.
The same secrets are for both, so what one signs must never be readable as the other: what a webhook signs has a dot
before any `=`, and what a query signs has an `=` before any dot.
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from service.core.bodies import JSON, NDJSON, content_type_of
from service.core.outcome import Outcome, Rejected

TOLERANCE_SECONDS = 300  # either way: as Standard Webhooks' own libraries have it

Headers = Iterable[tuple[bytes, bytes]]  # as ASGI gives them: names in lower case, repeated ones repeated

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_MADE_BYTES = 32
_MOST_SIGNATURES = 16
WEBHOOK_HEADERS = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
_MESSAGE_ID = re.compile(rb"[^\x00-\x20.=\x7f-\xff]{1,256}")
_UNIX_SECONDS = re.compile(rb"[1-9][0-9]{0,9}")
_MILLISECONDS = re.compile(rb"[1-9][0-9]{12}")
_HEX = re.compile(rb"[0-9a-f]{64}")
_NAME_FIRST = re.compile(rb"[^.=]*=")


@dataclass(frozen=True, slots=True)
class Secret:
    """One key that postbacks are signed with. Printed it shows nothing, in a traceback or anywhere else."""

    key: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `whsec_` and base64 of 24 to 64 bytes; raise ValueError, which does not repeat the text."""
        if not text.startswith(_PREFIX):
            raise ValueError(f"a signing secret begins with {_PREFIX}")
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"behind {_PREFIX} a signing secret is base64, with its padding") from None
        if len(key) not in _KEY_BYTES:
            raise ValueError(f"a signing secret is 24 to 64 bytes in base64, and this one has {len(key)}")
        return cls(key)

    def written(self) -> str:
        """Return the text that `read` reads: the secret itself."""
        return _PREFIX + base64.b64encode(self.key).decode()


def new_secret() -> Secret:
    """Make a secret of 256 random bits."""
    return Secret(secrets.token_bytes(_MADE_BYTES))


class SignedRequest(NamedTuple):
    """The parts of a request that a signature must cover, and the headers that carry it."""

    query: bytes
    content_type: str
    headers: Headers
    body: bytes


def check(sent: SignedRequest, live: Sequence[Secret], now: float) -> None:
    """Check that everything a postback is read from is signed; raise `Rejected` (unauthenticated) if it is not.

    Any of the live secrets will do; `now` is in Unix seconds. A signed body is JSON and has no query beside it: read as
    a form or CSV it could say something else, and two signed parts could come from two requests.
    """
    headers = _webhook_headers(sent.headers)
    if not (sent.body or headers):
        check_query(sent.query, live, now)
        return
    check_webhook(headers, sent.body, live, now)
    if sent.query:
        raise _refused("the query beside the signed body is not signed with it: send everything in the body")
    if content_type_of(sent.content_type).media_type not in (JSON, NDJSON):
        raise _refused("what a body is read as is not signed, so a signed one is JSON or NDJSON")


def check_query(query: bytes, live: Sequence[Secret], now: float) -> None:
    """Check a query that ends in `&sig=`: what is signed is every byte before that, `ts` among them."""
    names = [part.partition(b"=")[0] for part in query.split(b"&")]
    if b"sig" not in names and b"ts" not in names:
        raise _refused("not signed: the query has neither ts nor sig")
    for name in (b"ts", b"sig"):
        if names.count(name) != 1:
            raise _refused(f"{name.decode()} is {'sent more than once' if name in names else 'missing'}")
    if names[-1] != b"sig":
        raise _refused("sig is not the last parameter")
    signed, _, signature = query.rpartition(b"&sig=")
    if not _HEX.fullmatch(signature):
        raise _refused("sig is not 64 lower-case hex digits")
    if not _NAME_FIRST.match(signed):
        raise _refused("the query does not begin with a name that has no dot in it, and =")
    if not _matches(signed, [signature], live, _hex):
        raise _refused("no secret matches sig")
    _, _, timestamp = query.split(b"&")[names.index(b"ts")].partition(b"=")
    _check_age("ts", timestamp, now)


def check_webhook(headers: Headers, body: bytes, live: Sequence[Secret], now: float) -> None:
    """Check a body by the three headers of Standard Webhooks; of several signatures one must be good."""
    sent = _webhook_headers(headers)
    if not sent:
        raise _refused("not signed: there is no webhook-signature")
    names = [name for name, _ in sent]
    for name in WEBHOOK_HEADERS:
        if names.count(name) != 1:
            raise _refused(f"{name.decode()} is {'sent more than once' if name in names else 'missing'}")
    message_id, timestamp, signatures = (dict(sent)[name] for name in WEBHOOK_HEADERS)
    if not _MESSAGE_ID.fullmatch(message_id):
        raise _refused("webhook-id is not 1 to 256 visible ASCII characters without . and =")
    listed = [entry.removeprefix(b"v1,") for entry in signatures.split(b" ") if entry.startswith(b"v1,")]
    if not 0 < len(listed) <= _MOST_SIGNATURES:
        raise _refused(f"webhook-signature holds {len(listed)} signatures of version v1, not 1 to {_MOST_SIGNATURES}")
    if not _matches(b".".join((message_id, timestamp, body)), listed, live, base64.b64encode):
        raise _refused("no secret matches webhook-signature")
    _check_age("webhook-timestamp", timestamp, now)


def without_signature(query: bytes) -> bytes:
    """Return a signed query without `ts` and `sig`, and every other byte as it was sent."""
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[0] not in (b"ts", b"sig"))


def sign_query(query: bytes, secret: Secret, now: float) -> bytes:
    """Return the query with `ts` and `sig` behind it; raise ValueError for one that cannot be signed."""
    signed = b"&".join(filter(None, (query, b"ts=%d" % now)))
    if without_signature(query) != query or not _NAME_FIRST.match(signed):
        raise ValueError("a query to be signed has no ts or sig of its own, and begins with a name without a dot and =")
    return signed + b"&sig=" + _hex(_mac(secret, signed))


def sign_webhook(message_id: str, body: bytes, secret: Secret, now: float) -> dict[str, str]:
    """Return the three headers for a body; raise ValueError for an id that a receiver would refuse."""
    if not _MESSAGE_ID.fullmatch(message_id.encode()):
        raise ValueError("a message's id is 1 to 256 visible ASCII characters without . and =")
    signature = _mac(secret, f"{message_id}.{int(now)}.".encode() + body)
    values = (message_id, str(int(now)), "v1," + base64.b64encode(signature).decode())
    return {name.decode(): value for name, value in zip(WEBHOOK_HEADERS, values, strict=True)}


def _webhook_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name in WEBHOOK_HEADERS]


def _matches(
    content: bytes, signatures: Sequence[bytes], live: Sequence[Secret], encode: Callable[[bytes], bytes]
) -> bool:
    """Compare each signature with each secret's, even after a match, so that the time taken reveals nothing."""
    found = False
    for secret in live:
        expected = encode(_mac(secret, content))
        for signature in signatures:
            found |= hmac.compare_digest(expected, signature)
    return found


def _mac(secret: Secret, content: bytes) -> bytes:
    return hmac.digest(secret.key, content, "sha256")


def _hex(digest: bytes) -> bytes:
    return digest.hex().encode()


def _check_age(name: str, timestamp: bytes, now: float) -> None:
    """Check the age after the signature: only a real sender, or a replayed request, learns about our clock."""
    if not _UNIX_SECONDS.fullmatch(timestamp):
        unit = ": it seems to be in milliseconds" if _MILLISECONDS.fullmatch(timestamp) else ""
        raise _refused(f"{name} is not a Unix time in whole seconds{unit}")
    age = now - int(timestamp)
    if age > TOLERANCE_SECONDS:
        raise _refused(f"expired: signed {age:.0f} s ago by {name}, {TOLERANCE_SECONDS} s are allowed")
    if age < -TOLERANCE_SECONDS:
        raise _refused(f"signed {-age:.0f} s in the future by {name}: one of the two clocks is wrong")


def _refused(detail: str) -> Rejected:
    return Rejected(Outcome.UNAUTHENTICATED, detail)
