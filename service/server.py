"""Owns the running process: its sockets, the two uvicorn servers, signals, the order of stopping, the exit code."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import uvicorn
import uvloop
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from service.app import App, build_app
from service.flood import FloodBound
from service.log import LineSink, Log, LogFormat, capture_everything
from service.metrics import Metrics
from service.settings import Settings, unknown_settings
from service.version import VERSION, revision
from service.web.protocol import Protocol

EXIT_STORAGE_BROKEN = 74  # EX_IOERR of sysexits.h
_DRAIN_SECONDS = 5  # for open requests after SIGTERM; with the last commit and the log, exit stays under 10 s
_BACKLOG = 2048
_SWITCH_SECONDS = 0.0001  # how long the writer thread may wait for the event loop to let it run; three times a batch
_GC_THRESHOLD = 5_000  # a request leaves no cycles behind; 700 would look through them for nothing


class CannotListen(Exception):  # noqa: N818 - what happened, as the message says it
    """An address cannot be bound: taken, not ours, or unknown."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code: 0, or EXIT_STORAGE_BROKEN.

    Raises CannotListen, StartRefused, and StorageError when the database cannot be opened.
    """
    metrics = Metrics()
    sink = LineSink(sys.stdout.fileno(), metrics.count_log_dropped)
    try:
        flood = FloodBound(metrics.count_log_rate_limited)
        log = Log(sink, _log_format(settings), settings.log_level, metrics.count_log_line, flood)
        capture_everything(log.logger, settings.log_level)
        for sentence in unknown_settings(os.environ):
            log.logger.warning("unknown_setting", detail=sentence)
        app = build_app(settings, log, metrics)
        with (
            _bound(settings.host, settings.port) as public,
            _bound(settings.operator_host, settings.operator_port) as operator,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_serve(app, settings, log.logger, public, operator))
    finally:
        sink.close()


async def _serve(
    app: App,
    settings: Settings,
    logger: FilteringBoundLogger,
    public_socket: socket.socket,
    operator_socket: socket.socket,
) -> int:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    public, operator = _Server(_public_config(app, settings)), _Server(_config(app, app.operator, drain=1))
    async with app.running():
        _tune()
        serving = [
            asyncio.create_task(public.serve([public_socket])),
            asyncio.create_task(operator.serve([operator_socket])),
        ]
        _announce(settings, logger, public_socket, operator_socket)
        await _first(stop, app.storage_broken, *serving)
        broken = app.storage_broken.is_set()
        logger.log(50 if broken else 20, "stopping", reason="storage is broken" if broken else "signal")
        public.should_exit = True  # the operator listener stays up, to show the draining
        await serving[0]
        operator.should_exit = True
        await serving[1]
    logger.info("stopped")
    return EXIT_STORAGE_BROKEN if broken else 0


async def _first(stop: asyncio.Event, broken: asyncio.Event, *serving: asyncio.Task[None]) -> None:
    """Wait until the process should stop: a signal, broken storage, or a server that ended by itself."""
    waiters = [asyncio.create_task(event.wait()) for event in (stop, broken)]
    await asyncio.wait([*waiters, *serving], return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us: there are two of them in one process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: App, listener: ASGIApp, *, drain: int, **options: object) -> uvicorn.Config:
    return uvicorn.Config(
        listener,
        loop="none",
        http=partial(Protocol, count_unparsed=app.count_unparsed),  # type: ignore[arg-type]  # it makes protocols
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # its line would carry the query; ours is the canonical line
        server_header=False,
        timeout_graceful_shutdown=drain,
        **options,  # type: ignore[arg-type]  # the few below
    )


def _public_config(app: App, settings: Settings) -> uvicorn.Config:
    return _config(
        app,
        app.public,
        drain=_DRAIN_SECONDS,
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=settings.forwarded_allow_ips,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a listening socket.

    The protocol is named, because asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP; without it each
    response waits 40 ms for an acknowledgement.
    """
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
            )[0]
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
        listening.listen(_BACKLOG)
        yield listening


def _announce(settings: Settings, logger: FilteringBoundLogger, public: socket.socket, operator: socket.socket) -> None:
    scheme = "https" if settings.tls_cert else "http"
    address = _url(scheme, public)
    logger.info(
        "listening",
        public=address,
        operator=_url("http", operator),
        database=settings.database_url if settings.database_url.startswith("sqlite") else "(set)",
        try_it=f"curl '{address}/postback?c=my-first-click&value=1.50'",
        version=VERSION,
        revision=revision(),
        pid=os.getpid(),
    )
    logger.warning("open_mode", detail="no API key is registered: every direct request to a loopback name is accepted")


def _url(scheme: str, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _log_format(settings: Settings) -> LogFormat:
    if settings.log_format == "auto":
        return "console" if sys.stdout.isatty() else "json"
    return settings.log_format


def _tune() -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what lives now lives for ever: never look through it again
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
