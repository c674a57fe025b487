"""Owns the doors: HTTP request in, RawPostback to intake, verdict rendered. A door decides nothing."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache

from starlette.types import Receive, Scope, Send

from service.auth.credentials import PROOFS, Credentials, shown_in
from service.core import batch
from service.core.parsing import MAX_BODY_BYTES, media_type_of
from service.core.postback import DOORS, RawPostback
from service.core.redaction import redact
from service.core.unavailable import Overloaded
from service.core.verdict import Verdict
from service.intake import Intake
from service.web.render import send_pixel, send_rows, send_verdict

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C


class PostbackDoor:
    """GET and POST of one postback. ASGI applications, so that the hot path builds no Request and no Response."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def get(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Receive a postback from the query string."""
        raw, credentials = _taken(scope, b"")
        await send_verdict(send, await self._intake.receive(raw, credentials), raw.request_id)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a postback from the query string and the body together."""
        body, complete = await _read(receive, MAX_BODY_BYTES)
        raw, credentials = _taken(scope, body, complete=complete)
        verdict = await self._intake.receive(raw._replace(body=redact(body)), credentials)
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
    one find their places in the queue. The others wait with their bodies, for which there is so much room and no more:
    room and not places, or whoever sends slowly would keep everybody out.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._turns = asyncio.Semaphore(_BATCHES_AT_ONCE)
        self._room = _WAITING_BYTES

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the rows of the body, each as a postback of its own, or turn the batch away."""
        with self._some_room() as take:
            try:
                body, complete = await _read(receive, batch.MAX_BYTES, take)
            except Overloaded as error:
                raw, _ = _taken(scope, b"", complete=False)
                await send_verdict(send, await self._intake.turn_away(raw, str(error)), raw.request_id)
            else:
                await self._receive(scope, *_taken(scope, body, complete=complete), send)

    async def _receive(self, scope: Scope, raw: RawPostback, credentials: Credentials, send: Send) -> None:
        async with self._turns:
            verdicts = await self._intake.receive_batch(raw, credentials)
        if isinstance(verdicts, Verdict):
            await send_verdict(send, verdicts, raw.request_id)
        else:
            await send_rows(send, _accepted_type(scope, raw), raw.request_id, verdicts)

    @contextmanager
    def _some_room(self) -> Iterator[Callable[[int], None]]:
        """Give what takes room for so many bytes, until the batch is done; it raises Overloaded."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self._room:
                raise Overloaded("too many batches wait")
            self._room -= size
            taken += size

        try:
            yield take
        finally:
            self._room += taken


_BATCHES_AT_ONCE = 2  # their rows take two commits at most of the places that there always are
_WAITING_BYTES = 4 * batch.MAX_BYTES


def _accepted_type(scope: Scope, raw: RawPostback) -> str:
    """Return the media type of the answer: what is accepted of those we have, else the request's own."""
    asked = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1").lower()
    wanted = [part.partition(";")[0].strip() for part in asked.split(",")]
    return next((one for one in wanted if one in batch.MEDIA_TYPES), media_type_of(raw.content_type))


async def _read(receive: Receive, most: int, take: Callable[[int], object] = bool) -> tuple[bytes, bool]:
    """Return the body, one byte past the limit at most, and whether it came to its end; `take` room for each piece."""
    body = bytearray()
    while len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), False
        piece = message.get("body", b"")
        take(len(piece))
        body += piece
        if not message.get("more_body"):
            break
    return bytes(body[: most + 1]), True


_READ = PROOFS | {b"host", b"content-type", b"content-encoding", b"traceparent"}


def _taken(scope: Scope, body: bytes, *, complete: bool = True) -> tuple[RawPostback, Credentials]:
    """Return what arrived, and apart from it what it shows of its sender: that is never kept, wherever it stands.

    Keys in the body are the caller's to redact: a batch's are, row by row.
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
    raw = RawPostback(
        DOORS[path],
        scope["method"],
        path,
        redact(query),
        content_type,
        content_encoding,
        body,
        complete,
        _redacted(host),
        forwarded,
        client[0] if client else "",
        datetime.now(UTC),
        request_id,
        scope["trace_id"],
    )
    return raw, credentials


_redacted = lru_cache(maxsize=64)(redact)  # a listener has few names


def _text(read: Mapping[bytes, bytes], name: bytes) -> str:
    return redact(read[name]).decode("latin-1") if name in read else ""
