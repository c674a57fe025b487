"""Owns the uvicorn server of one listener: how it is set up, and how it ends without cutting off an answer."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from service.telemetry.metrics.room import Places
from service.web.wire.answer import DefaultHead
from service.web.wire.bounded_connection import BoundedConnection
from service.web.wire.bounds import Bounds, ConnectionWatch
from service.web.wire.handshake import Handshake
from service.web.wire.head import HeadParser
from service.web.wire.orphaned_connections import OrphanedConnections
from service.web.wire.turns import Turns

_TICK_SECONDS = 0.05


class HttpServer(uvicorn.Server):
    """A uvicorn server for one of the two listeners. It handles no signals, since there are two in one process.

    `bounds` are those of its connections; `drain`: seconds that open requests may take at the end; `by_hand`: the
    application needs no task (driving.py); `options`: uvicorn's.
    """

    def __init__(
        self,
        app: ASGIApp,
        count_unparsed: Callable[[int], None],
        bounds: Bounds,
        *,
        drain: int,
        by_hand: bool = False,
        **options: object,
    ) -> None:
        self._accepting = asyncio.Event()
        self._leaving = asyncio.Event()
        self._watch = ConnectionWatch(bounds, count_unparsed)
        self._default_head = DefaultHead()
        protocol = partial(
            BoundedConnection,
            watch=self._watch,
            parser=HeadParser(),
            default_head=self._default_head,
            turns=Turns(),
            leaving=self._leaving.is_set,
            by_hand=by_hand,
        )
        config = uvicorn.Config(
            app,
            interface="asgi3",
            loop="none",
            http=protocol,  # type: ignore[arg-type]  # it makes protocols
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,  # forwarded.py has the rule
            access_log=False,  # its line would carry the query; ours is the canonical line
            server_header=False,
            timeout_graceful_shutdown=drain,
            **options,  # type: ignore[arg-type]  # the few below
        )
        super().__init__(config)

    @property
    def places(self) -> Places:
        """How to read the places of its connections."""
        watch = self._watch

        def strangers() -> int:
            return watch.taken(self.server_state.connections) - watch.known  # type: ignore[arg-type]  # all are ours

        return Places(lambda: watch.known, strangers, watch.bounds.connections)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections. The loop would show those with TLS only after their handshake: it is begun by us."""
        loop, backlog = asyncio.get_running_loop(), self.config.backlog
        self.servers = [
            await loop.create_server(self._protocol, sock=listening, backlog=backlog) for listening in sockets or ()
        ]
        self.started = True
        self._accepting.set()

    async def on_tick(self, counter: int) -> bool:
        """Advance the watch over the connections; uvicorn calls this ten times a second, and renews the date."""
        self._watch.tick(time.monotonic(), self.server_state.connections)  # type: ignore[arg-type]  # all are ours
        ends = await super().on_tick(counter)
        self._default_head.renew(self.server_state.default_headers)
        return ends

    async def begin(self, listening: socket.socket) -> asyncio.Task[None]:
        """Serve on a socket; return the task when connections are accepted, or when it has failed."""
        serving = asyncio.create_task(self.serve([listening]))
        accepting = asyncio.create_task(self._accepting.wait())
        await asyncio.wait([serving, accepting], return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        return serving

    def orphaned_connections(self, listeners: Sequence[socket.socket]) -> OrphanedConnections:
        """Return what takes in the connections that wait at other workers' listeners."""
        return OrphanedConnections(listeners, self._protocol)

    def _protocol(self) -> asyncio.BaseProtocol:
        make = cast("Callable[..., BoundedConnection]", self.config.http_protocol_class)
        http, tls = make(config=self.config, server_state=self.server_state, app_state={}), self.config.ssl
        return Handshake(http, tls, self._watch, self.server_state) if tls else http

    async def leave(self, linger: float) -> None:
        """Stop accepting, make each answer the last of its connection, and wait at most `linger` seconds."""
        self._leaving.set()
        for server in self.servers:
            server.close()
        connections = self.server_state.connections
        for connection in connections:
            cast("BoundedConnection | Handshake", connection).leave()
        deadline = time.monotonic() + linger
        while connections and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn's set tells nobody when it is empty
            await asyncio.sleep(_TICK_SECONDS)
