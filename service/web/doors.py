"""Owns the doors: HTTP request in, RawPostback to intake, verdict rendered. A door decides nothing."""

import re
from datetime import UTC, datetime

from starlette.types import Receive, Scope, Send

from service.intake import Intake
from service.postback import DOORS, MAX_BODY_BYTES, RawPostback
from service.web.render import send_pixel, send_verdict

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C


class PostbackDoor:
    """GET and POST of one postback. ASGI applications, so that the hot path builds no Request and no Response."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Receive a postback from the query string."""
        await self._receive(_raw_postback(scope, b""), send)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string and the body together."""
        body, complete = await _read(receive)
        await self._receive(_raw_postback(scope, body, complete=complete), send)

    async def _receive(self, raw: RawPostback, send: Send) -> None:
        verdict = await self._intake.receive(raw)
        await send_verdict(send, verdict, raw.request_id)


class PixelDoor:
    """GET of one postback by a browser: the same straight line, and an image whatever came of it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Receive a postback from the query string."""
        verdict = await self._intake.receive(_raw_postback(scope, b""))
        await send_pixel(send, verdict.outcome)


async def _read(receive: Receive) -> tuple[bytes, bool]:
    """Return the body, one byte past the limit at most, and whether it came to its end."""
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), False
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body[: MAX_BODY_BYTES + 1]), True


def _raw_postback(scope: Scope, body: bytes, *, complete: bool = True) -> RawPostback:
    host = content_type = content_encoding = traceparent = b""
    forwarded = False
    for name, value in scope["headers"]:
        if name == b"host":
            host = b"" if host else value  # two Hosts are none: a proxy might have judged the other one
        elif name == b"content-type":
            content_type = value
        elif name == b"content-encoding":
            content_encoding = value
        elif name == b"traceparent":
            traceparent = value
        elif name == b"forwarded" or name.startswith(b"x-forwarded-"):
            forwarded = True
    request_id = scope["request_id"]
    trace = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if trace:
        scope["trace_id"] = trace[1].decode()
    return RawPostback(
        DOORS[scope["path"]],
        scope["method"],
        scope["path"],
        scope["query_string"],
        content_type.decode("latin-1"),
        content_encoding.decode("latin-1").lower(),
        body,
        complete,
        host,
        forwarded,
        scope["client"][0] if scope["client"] else "",
        datetime.now(UTC),
        request_id,
        scope["trace_id"],
    )
