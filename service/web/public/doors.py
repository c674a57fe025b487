"""Owns the doors: HTTP request in, RawPostback to intake, verdict rendered. A door decides nothing."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from starlette.types import Receive, Scope, Send

from service.auth.credentials import PROOFS, Credentials, shown_in
from service.core.outcome import OF_ANYBODY
from service.core.parameters import MAX_BODY_BYTES
from service.core.postback import DOORS, Door, RawPostback, door_path
from service.core.redaction import redact
from service.core.verdict import Verdict
from service.intake import Intake
from service.web.render import send_pixel, send_verdict
from service.web.wire.known_clients import KNOWN_CLIENT, vouch_for_client

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C


class PostbackDoor:
    """GET and POST of one postback. ASGI applications, so that the hot path builds no Request and no Response."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string, once the body has come if one was announced."""
        raw, credentials = taken(scope, b"")
        if not raw.complete:
            raw, credentials = await taken_whole(scope, receive)
        verdict = await self._intake.receive(raw, credentials)
        if KNOWN_CLIENT in scope:
            vouch(scope, verdict)
        await send_verdict(send, verdict, raw.request_id)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string and the body together."""
        raw, credentials = await taken_whole(scope, receive)
        verdict = await self._intake.receive(raw, credentials)
        if KNOWN_CLIENT in scope:
            vouch(scope, verdict)
        await send_verdict(send, verdict, raw.request_id)


class PixelDoor:
    """GET of one postback by a browser: the same straight line, and an image whatever came of it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string, once the body has come if one was announced."""
        raw, credentials = taken(scope, b"")
        if not raw.complete:
            raw, credentials = await taken_whole(scope, receive)
        verdict = await self._intake.receive(raw, credentials)
        if KNOWN_CLIENT in scope:
            vouch(scope, verdict)
        await send_pixel(send, verdict.outcome)


def vouch(scope: Scope, verdict: Verdict) -> None:
    """Let the server know of a client whose sender is known, as the verdict shows."""
    if verdict.outcome not in OF_ANYBODY:
        vouch_for_client(scope)


async def taken_whole(scope: Scope, receive: Receive) -> tuple[RawPostback, Credentials]:
    """Return what arrived once its body has, or one byte more of that than is taken; see `taken`.

    The body of a GET means nothing (RFC 9110, 9.3.1). It is waited for all the same: a verdict on a request that turns
    out to be none would contradict the answer.
    """
    body, complete = await _read(receive, MAX_BODY_BYTES)
    body = b"" if scope["method"] == "GET" else body
    raw, credentials = taken(scope, body, complete=complete)
    return raw._replace(body=redact(body)), credentials


async def _read(receive: Receive, most: int) -> tuple[bytes, bool]:
    """Return the body, one byte past the limit at most, and whether it came to its end."""
    body = bytearray()
    while len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), False
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body[: most + 1]), True


_BODY = {b"content-length", b"transfer-encoding"}  # announce one
_READ = PROOFS | _BODY | {b"host", b"content-type", b"content-encoding", b"traceparent"}


def taken(scope: Scope, body: bytes, *, complete: bool | None = None) -> tuple[RawPostback, Credentials]:
    """Return what arrived, and apart from it what it shows of its sender: that is never kept, wherever it stands.

    `complete` says that the body is; None: it is if none was announced. Keys in the body are the caller's to redact: a
    batch's are, row by row.
    """
    read: dict[bytes, bytes] = {}
    earlier: list[tuple[bytes, bytes]] = []  # of headers that came again
    forwarded = False
    for name, value in scope["headers"]:
        if name in _READ:
            if name in read:
                earlier.append((name, read[name]))
            read[name] = value
        elif name[:12] == b"x-forwarded-" or name == b"forwarded":
            forwarded = True
    request_id, path, query, client = scope["request_id"], scope["path"], scope["query_string"], scope["client"]
    content_type = content_encoding = ""
    host = read.get(b"host", b"")
    headers = [] if host and len(read) == 1 else [*earlier, *read.items()]  # most have Host alone
    if headers:
        content_type, content_encoding = _text(read, b"content-type"), _text(read, b"content-encoding").lower()
        if b"traceparent" in read and (trace := _TRACEPARENT.fullmatch(read[b"traceparent"])):
            scope["trace_id"] = trace[1].decode()
    query, credentials = shown_in(query, headers, body)
    if earlier and b"host" in dict(earlier):
        host = b""  # two are none: a proxy might have judged the other one
    try:
        door = DOORS[path]
    except KeyError:
        door, path = _written_otherwise(scope)
    values = (
        door,
        scope["method"],
        path,
        redact(query),
        content_type,
        content_encoding,
        body,
        not (headers and _announces_body(read)) if complete is None else complete,
        _redacted(host),
        forwarded,
        client[0] if client else "",
        datetime.now(UTC),
        request_id,
        scope["trace_id"],
        False,
    )
    return tuple.__new__(RawPostback, values), credentials  # its own __new__ is a function in Python


def _written_otherwise(scope: Scope) -> tuple[Door, str]:
    """Return the door that a path means, or missed, and the path as it was sent."""
    means = door_path(scope["path"])
    return DOORS[means] if means else "postback", redact(scope["raw_path"]).decode("ascii", "backslashreplace")


def _announces_body(read: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in read or bool(read.get(b"content-length", b"").strip(b"0"))


_redacted = lru_cache(maxsize=64)(redact)  # a listener has few names, and its senders few types


def _text(read: Mapping[bytes, bytes], name: bytes) -> str:
    return _redacted(read[name]).decode("latin-1") if name in read else ""
