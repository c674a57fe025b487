"""Owns what every HTTP exchange has: its request_id, the headers all answers carry, and its count and duration."""

import os
import time
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics

_PREFIX = os.urandom(8).hex()
_NUMBERS = count(int.from_bytes(os.urandom(4), "big"))


def new_request_id() -> str:
    """Return 32 hex digits: 64 random bits of this process and a running number, so unique and cheap."""
    return f"{_PREFIX}{next(_NUMBERS):016x}"


class Exchange:
    """One request and its response, seen from the middleware."""

    __slots__ = ("_metrics", "_scope", "_send", "_started", "_status", "request_id")

    def __init__(self, scope: Scope, send: Send, metrics: Metrics) -> None:
        self.request_id = new_request_id()
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._started = time.perf_counter()
        self._status = 0

    async def send(self, message: Message) -> None:
        """Pass a message on: complete the headers of the first, count after the last."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self.request_id.encode()),
                (b"cache-control", b"no-store"),
            ]
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._count()

    def _count(self) -> None:
        route = self._scope.get("route")
        path = route.path if route is not None else "unmatched"
        seconds = time.perf_counter() - self._started
        self._metrics.count_response(path, self._scope["method"], self._status, seconds)


class Observed:
    """Middleware that gives each request an Exchange, kept as `scope["exchange"]`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe one HTTP request; everything else (lifespan) passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope["exchange"] = Exchange(scope, send, self._metrics)
        self._metrics.requests_in_flight += 1
        try:
            await self._app(scope, receive, exchange.send)
        finally:
            self._metrics.requests_in_flight -= 1
