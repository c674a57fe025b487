"""Owns the doors: HTTP request in, RawPostback to intake, verdict rendered. A door decides nothing."""

import asyncio
import re
from datetime import UTC, datetime

from starlette.types import Receive, Scope, Send

from service import batch
from service.auth.credentials import NOTHING, Credentials, credentials_of, take_key
from service.intake import Intake
from service.postback import DOORS, MAX_BODY_BYTES, RawPostback, media_type_of
from service.redaction import redact
from service.storage.ledger import Verdict
from service.web.render import send_pixel, send_rows, send_verdict

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C


class PostbackDoor:
    """GET and POST of one postback. ASGI applications, so that the hot path builds no Request and no Response."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Receive a postback from the query string."""
        await self._receive(*_taken(scope, b""), send)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string and the body together."""
        body, complete = await _read(receive, MAX_BODY_BYTES)
        await self._receive(*_taken(scope, redact(body), complete=complete), send)

    async def _receive(self, raw: RawPostback, credentials: Credentials, send: Send) -> None:
        verdict = await self._intake.receive(raw, credentials)
        await send_verdict(send, verdict, raw.request_id)


class PixelDoor:
    """GET of one postback by a browser: the same straight line, and an image whatever came of it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Receive a postback from the query string."""
        verdict = await self._intake.receive(*_taken(scope, b""))
        await send_pixel(send, verdict.outcome)


class BatchDoor:
    """POST of many postbacks, answered when each has its outcome: the status must not promise what is not done.

    A commit's worth of rows is under way for each batch, and few batches at once, so that postbacks that come one by
    one find their places in the queue.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._turns = asyncio.Semaphore(_BATCHES_AT_ONCE)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the rows of the body, each as a postback of its own."""
        body, complete = await _read(receive, batch.MAX_BYTES)
        raw, credentials = _taken(scope, body, complete=complete)
        async with self._turns:
            verdicts = await self._intake.receive_batch(raw, credentials)
        if isinstance(verdicts, Verdict):
            await send_verdict(send, verdicts, raw.request_id)
        else:
            await send_rows(send, _accepted_type(scope, raw), raw.request_id, verdicts)


_BATCHES_AT_ONCE = 2  # their rows take two commits at most of the places that there always are


def _accepted_type(scope: Scope, raw: RawPostback) -> str:
    """Return the media type of the answer: what is accepted of those we have, else the request's own."""
    asked = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1").lower()
    wanted = [part.partition(";")[0].strip() for part in asked.split(",")]
    return next((one for one in wanted if one in batch.MEDIA_TYPES), media_type_of(raw.content_type))


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


def _taken(scope: Scope, body: bytes, *, complete: bool = True) -> tuple[RawPostback, Credentials]:
    """Return what arrived, and apart from it what it shows of its sender: that is never kept, wherever it stands.

    Keys in the body are the caller's to redact: a batch's are, row by row.
    """
    authorizations: list[bytes] = []
    api_keys: list[bytes] = []
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
        elif name == b"authorization":
            authorizations.append(value)
        elif name == b"x-api-key":
            api_keys.append(value)
        elif name == b"forwarded" or name.startswith(b"x-forwarded-"):
            forwarded = True
    request_id = scope["request_id"]
    trace = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if trace:
        scope["trace_id"] = trace[1].decode()
    query, queried = take_key(scope["query_string"])
    shown = authorizations or api_keys or queried
    raw = RawPostback(
        DOORS[scope["path"]],
        scope["method"],
        scope["path"],
        redact(query),
        redact(content_type).decode("latin-1"),
        redact(content_encoding).decode("latin-1").lower(),
        body,
        complete,
        redact(host),
        forwarded,
        scope["client"][0] if scope["client"] else "",
        datetime.now(UTC),
        request_id,
        scope["trace_id"],
    )
    return raw, credentials_of(authorizations, api_keys, queried) if shown else NOTHING
