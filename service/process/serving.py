"""Owns how the two listeners of a process are served: the start, what ends it, and the order of stopping."""

import asyncio
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Literal, NamedTuple

from structlog.typing import FilteringBoundLogger

from service.auth.networks import Networks
from service.core import batch
from service.process.app import App
from service.process.memory import give_large_buffers_back
from service.process.sockets import connections_allowed
from service.settings import Settings
from service.web.wire.bounds import Bounds
from service.web.wire.forwarded import ForwardedMiddleware
from service.web.wire.http_server import HttpServer

EXIT_STORAGE_BROKEN = 74  # EX_IOERR of sysexits.h
_DRAIN_SECONDS = 5  # for open requests after SIGTERM; with the last commit and the log, exit stays under 10 s
_OPERATOR_BOUNDS = Bounds(connections=32, spare=8, body_bytes=64 * 1024)
_SWITCH_SECONDS = 0.0001  # how long the writer thread may wait for the event loop to let it run; three times a batch
_GC_THRESHOLD = 5_000  # a request leaves no cycles behind; 700 would look through them for nothing


class Ending(NamedTuple):
    """Why the process ends, and how.

    For `linger` seconds connections that rest are left open: who sends another request on one gets its answer, with
    `Connection: close`, instead of a reset. `shown`: the operator listener stays up, to show the draining.
    """

    reason: str
    linger: float
    shown: bool


SIGNAL = Ending("signal", 1.0, shown=True)
_BROKEN = Ending("storage is broken", 0.0, shown=True)
REPLACED = Ending("replaced", 5.5, shown=False)  # connections that have rested for 5 s are closed meanwhile
TERMINAL_CLOSED = Ending("the terminal was closed", 1.0, shown=True)
ORPHANED = Ending("the supervisor is gone", 1.0, shown=False)  # its successor needs the ports

End = Callable[[Ending], None]
Obeying = Callable[[End], AbstractAsyncContextManager[None]]
_Awaited = asyncio.Future[Ending] | asyncio.Future[Literal[True]] | asyncio.Future[None]


class Listeners(NamedTuple):
    """The process's own two; and the public ones of other workers, where connections may wait in vain."""

    public: socket.socket
    operator: socket.socket
    others: Sequence[socket.socket] = ()


class Serving:
    """One app on two sockets, from its start to its end."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        logger: FilteringBoundLogger,
        listeners: Listeners,
    ) -> None:
        self._app = app
        self._others = listeners.others
        self._logger = logger
        self._public = public_server(app, settings)
        self._operator = HttpServer(app.operator, app.count_unparsed, _OPERATOR_BOUNDS, drain=1)
        self._sockets = ((self._public, listeners.public), (self._operator, listeners.operator))

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context of the public listener; None: it has none, or is not up yet."""
        config = self._public.config
        return config.ssl if config.loaded else None

    async def run(self, obeying: Obeying, started: Callable[[], None]) -> int:
        """Serve until a signal, broken storage, or until what `obeying` obeys calls `End`; return the exit code."""
        ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

        def end(how: Ending) -> None:
            if not ending.done():
                ending.set_result(how)

        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, end, SIGNAL)
        async with obeying(end), AsyncExitStack() as running:
            if not await _unless_ended(running.enter_async_context(self._app.running()), ending):
                self._logger.info("stopped", reason=ending.result().reason)
                return 0
            _tune()
            serving = [await server.begin(listening) for server, listening in self._sockets]
            orphans = self._public.orphaned_connections(self._others)
            adopting = asyncio.create_task(orphans.take_in()) if self._others else None
            started()
            how = await self._first(ending, *serving)
            self._logger.log(50 if how is _BROKEN else 20, "stopping", reason=how.reason)
            if adopting:
                adopting.cancel()
            await self._stop(how, *serving)
        self._logger.info("stopped")
        return EXIT_STORAGE_BROKEN if how is _BROKEN else 0

    async def _first(self, ending: asyncio.Future[Ending], *serving: asyncio.Task[None]) -> Ending:
        """Wait until the process should end: told so, broken storage, or a server that ended by itself."""
        broken = asyncio.create_task(self._app.storage_broken.wait())
        awaited: list[_Awaited] = [ending, broken, *serving]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        broken.cancel()
        if self._app.storage_broken.is_set():
            return _BROKEN
        return ending.result() if ending.done() else SIGNAL

    async def _stop(self, how: Ending, public: asyncio.Task[None], operator: asyncio.Task[None]) -> None:
        if not how.shown:
            self._operator.should_exit = True
        await self._public.leave(how.linger)
        self._public.should_exit = True
        await public
        self._operator.should_exit = True
        await operator


async def _unless_ended(opening: Awaitable[None], ending: asyncio.Future[Ending]) -> bool:
    """Open storage; give up, and say False, when the process is to end before that: migrations may be waited for."""
    task: asyncio.Future[None] = asyncio.ensure_future(opening)
    awaited: list[_Awaited] = [task, ending]
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


def public_server(app: App, settings: Settings) -> HttpServer:
    """Return the server of the public listener, set up as the settings say."""
    proxies = Networks.parse(settings.forwarded_allow_ips)
    bounds = Bounds(
        connections_allowed(settings.max_connections),
        spare=32,
        body_bytes=2 * batch.MAX_BYTES,
        keep_alive=settings.keep_alive_seconds,
    )
    server = HttpServer(
        ForwardedMiddleware(app.public, proxies) if proxies.listed else app.public,
        app.count_unparsed,
        bounds,
        drain=_DRAIN_SECONDS,
        by_hand=True,  # the doors wait for futures only; the operator's pages may want a task
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    app.watch_places(server.places)
    return server


def _tune() -> None:
    give_large_buffers_back()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what lives now lives for ever: never look through it again
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
