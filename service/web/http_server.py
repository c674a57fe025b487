"""Owns the uvicorn server of one listener: how it is set up, and how it is left without cutting anybody off."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from service.strays import Strays
from service.web.protocol import Protocol

_TICK_SECONDS = 0.05


class HttpServer(uvicorn.Server):
    """A uvicorn server for one of the two listeners; signals are left to us, since there are two in one process.

    `drain` is for how many seconds open requests may go on; `options` are uvicorn's.
    """

    def __init__(self, app: ASGIApp, count_unparsed: Callable[[], None], *, drain: int, **options: object) -> None:
        self._accepting = asyncio.Event()
        self._leaving = asyncio.Event()
        protocol = partial(Protocol, count_unparsed=count_unparsed, leaving=self._leaving.is_set)
        config = uvicorn.Config(
            app,
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

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Note that connections are accepted."""
        await super().startup(sockets)
        self._accepting.set()

    async def begin(self, listening: socket.socket) -> asyncio.Task[None]:
        """Serve on a socket; return the task when connections are accepted, or when it has failed."""
        serving = asyncio.create_task(self.serve([listening]))
        accepting = asyncio.create_task(self._accepting.wait())
        await asyncio.wait([serving, accepting], return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        return serving

    def strays(self, listeners: Sequence[socket.socket]) -> Strays:
        """Return who takes in the connections that wait at other listeners."""
        config = self.config
        make = cast("Callable[..., asyncio.Protocol]", config.http_protocol_class)
        protocol = partial(make, config=config, server_state=self.server_state, app_state={})
        return Strays(listeners, protocol, config.ssl)

    async def leave(self, linger: float) -> None:
        """Accept no more connections, let each answer be the last of its connection, and wait for their end."""
        self._leaving.set()
        for server in self.servers:
            server.close()
        connections = self.server_state.connections
        for connection in connections:
            cast("Protocol", connection).leave()
        deadline = time.monotonic() + linger
        while connections and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn's set tells nobody when it is empty
            await asyncio.sleep(_TICK_SECONDS)
