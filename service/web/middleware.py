"""Owns what every HTTP exchange has: a request_id, the headers of all answers, a count and a duration."""

import os
import time
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.outcome import Outcome
from service.core.verdict import Verdict
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.catalogue import UNMATCHED
from service.web.render import send_verdict

_PREFIX = os.urandom(8).hex()
_NUMBERS = count(int.from_bytes(os.urandom(4), "big"))


def new_request_id() -> str:
    """Return 32 hex digits: 64 random bits of this process and a running number, so unique and cheap."""
    return f"{_PREFIX}{next(_NUMBERS):016x}"


class Exchange:
    """One request and its response, as the middleware sees it.

    The scope gets the request_id only, not the exchange: the exchange refers back to the scope through the server's
    `send`, and such a cycle would leave every request to the garbage collector.
    """

    __slots__ = ("_send", "request_id", "status")

    def __init__(self, send: Send) -> None:
        self.request_id = new_request_id()
        self.status = 0
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass a message on, and add our headers to the first."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self.request_id.encode()),
                (b"cache-control", b"no-store"),
            ]
        await self._send(message)


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
        exchange = Exchange(send)
        scope["request_id"] = scope["trace_id"] = exchange.request_id
        self._metrics.requests_in_flight += 1
        try:
            await self._app(scope, receive, exchange.send)
        except Exception:
            self._log.logger.exception("unexpected_error", request_id=exchange.request_id)
            if exchange.status:  # too late for another answer
                raise
            await send_verdict(exchange.send, Verdict(Outcome.INTERNAL_ERROR), exchange.request_id)
        finally:
            self._metrics.requests_in_flight -= 1
            if exchange.status:  # else the request was cut off before it could be answered
                route = scope.get("route")
                path = UNMATCHED if route is None else route.path
                seconds = time.perf_counter() - started
                self._metrics.count_response(path, scope["method"], exchange.status, seconds, scope)
