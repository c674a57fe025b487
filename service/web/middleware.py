"""Owns what every HTTP exchange has: a request_id, the headers of all answers, a count and a duration."""

import os
import time
from collections.abc import Awaitable
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.outcome import Outcome
from service.core.verdict import Verdict
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.catalogue import UNMATCHED
from service.web.render import send_verdict
from service.web.wire.answer import WHOLE_ANSWER, headers_of

_PREFIX = os.urandom(8).hex()
_NUMBERS = count(1 << 60 | int.from_bytes(os.urandom(4), "big"))  # 16 digits, all of them


def new_request_id() -> str:
    """Return 32 hex digits: 64 random bits of this process and a running number, so unique and cheap."""
    return f"{_PREFIX}{next(_NUMBERS):x}"


class Exchange:
    """One request and its response, as the middleware sees it.

    The scope gets the request_id only, not the exchange: the exchange refers back to the scope through the server's
    `send`, and such a cycle would leave every request to the garbage collector.
    """

    __slots__ = ("_send", "_whole", "request_id", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._whole = WHOLE_ANSWER in scope["extensions"] if "extensions" in scope else False
        self.status = 0
        self.request_id = scope["request_id"] = scope["trace_id"] = new_request_id()

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on, and add our headers to the first."""
        kind = message["type"]
        if kind == WHOLE_ANSWER:
            self.status = message["status"]
            message["head"] += f"x-request-id: {self.request_id}\r\ncache-control: no-store\r\n".encode()
            return self._send(message) if self._whole else self._send_in_parts(message)
        if kind == "http.response.start":
            self.status = message["status"]
            ours = [(b"x-request-id", self.request_id.encode()), (b"cache-control", b"no-store")]
            message["headers"] = [*message["headers"], *ours]
        return self._send(message)

    async def _send_in_parts(self, whole: Message) -> None:
        """Send a whole answer to a server that takes none."""
        head = headers_of(whole["head"])
        await self._send({"type": "http.response.start", "status": whole["status"], "headers": head})
        await self._send({"type": "http.response.body", "body": whole["body"]})


class RequestMiddleware:
    """Gives each request its ids in the scope, counts and times it, and answers an exception that nobody caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Log) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe one HTTP request; everything else passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = Exchange(scope, send)
        metrics = self._metrics
        metrics.requests_in_flight += 1
        try:
            await self._app(scope, receive, exchange.send)
        except Exception:
            self._log.logger.exception("unexpected_error", request_id=exchange.request_id)
            if exchange.status:  # too late for another answer
                raise
            await send_verdict(exchange.send, Verdict(Outcome.INTERNAL_ERROR), exchange.request_id)
        finally:
            metrics.requests_in_flight -= 1
            if exchange.status:  # else the request was cut off before it could be answered
                path = scope["route"].path if "route" in scope else UNMATCHED
                metrics.count_response(path, scope["method"], exchange.status, time.perf_counter() - started, scope)
