"""Owns what a serving process consists of: its log, its sockets, its app, and who may end it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import uvloop
from structlog.typing import FilteringBoundLogger

from service.core.version import VERSION, revision
from service.process import assignment as words
from service.process.app import build_app
from service.process.assignment import Assignment
from service.process.server import ORPHANED, REPLACED, SIGNAL, End, Listeners, Serving
from service.process.sockets import bound, url_of
from service.settings import Settings, unknown_settings
from service.telemetry.log import Log
from service.telemetry.log.capture import capture_everything
from service.telemetry.log.formats import LogFormat
from service.telemetry.log.line_sink import LineSink, SharedOutput, UnsharedOutput
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.metrics import Metrics

_MEANINGS = {words.STOP: SIGNAL, words.REPLACED: REPLACED}


def run(settings: Settings) -> int:
    """Serve, as the only process, until SIGTERM or SIGINT; return the exit code: 0, or EXIT_STORAGE_BROKEN.

    Raises CannotListen, StartRefused, and StorageError when the database cannot be opened.
    """
    metrics = Metrics()
    with logging_to_stdout(settings, metrics) as log:
        tell_unknown_settings(log)
        app = build_app(settings, log, metrics)
        app.assert_may_start()
        with (
            bound(settings.host, settings.port) as public,
            bound(settings.operator_host, settings.operator_port) as operator,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):

            def announced() -> None:
                announce(settings, log.logger, public, [operator])
                app.introduce()

            return runner.run(
                Serving(app, settings, log.logger, Listeners(public, operator)).run(_nobody_else, announced)
            )


def run_worker(settings: Settings, assignment: Assignment) -> int:
    """Serve as one of several workers, until the supervisor says so or is gone. Raises as `run` does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal sends it to all; the supervisor knows what it means
    metrics = Metrics()
    metrics.worker_restarts = assignment.restarts
    output = SharedOutput(assignment.turns)
    with logging_to_stdout(settings, metrics, output, worker=assignment.worker) as log, ExitStack() as held:
        link, operator = (held.enter_context(socket.socket(fileno=fd)) for fd in (assignment.link, assignment.operator))
        public, others = assignment.listeners()
        for listening in (public, *others):
            held.callback(listening.close)
        app = build_app(settings, log, metrics, worker=assignment.worker)
        app.assert_may_start()

        def ready() -> None:
            log.logger.info("worker_ready", operator=url_of("http", operator), pid=os.getpid(), version=VERSION)
            app.introduce()
            link.send(words.READY)

        runner = held.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        serving = Serving(app, settings, log.logger, Listeners(public, operator, others))
        return runner.run(serving.run(partial(_obey, link), ready))


@contextmanager
def logging_to_stdout(
    settings: Settings, metrics: Metrics, output: UnsharedOutput | SharedOutput | None = None, **everywhere: object
) -> Iterator[Log]:
    """Open the process's log, with all that libraries say in it, and write it out at the end."""
    sink = LineSink(sys.stdout.fileno(), metrics.count_log_dropped, output=output)
    try:
        limit = LogRateLimit(metrics.count_log_rate_limited)
        log = Log(sink, _log_format(settings), settings.log_level, metrics.count_log_line, limit, everywhere=everywhere)
        capture_everything(log.logger, settings.log_level)
        yield log
    finally:
        sink.close()


def tell_unknown_settings(log: Log) -> None:
    """Warn of variables that look like settings and are none."""
    for sentence in unknown_settings(os.environ):
        log.logger.warning("unknown_setting", detail=sentence)


def _nobody_else(_end: End) -> None:
    """Only signals end a process that is alone."""


def _obey(link: socket.socket, end: End) -> None:
    """End when the supervisor says so, or when it is gone and the other end of the link with it."""
    loop = asyncio.get_running_loop()

    def heard() -> None:
        with suppress(BlockingIOError):
            loop.remove_reader(link)
            end(_MEANINGS.get(_word(link), ORPHANED))

    loop.add_reader(link, heard)


def _word(link: socket.socket) -> bytes:
    try:
        return link.recv(1)
    except ConnectionError:
        return b""


def announce(
    settings: Settings,
    logger: FilteringBoundLogger,
    public: socket.socket,
    operators: Sequence[socket.socket],
) -> None:
    """Say where the service listens."""
    address = url_of("https" if settings.tls_cert else "http", public)
    urls = [url_of("http", operator) for operator in operators]
    logger.info(
        "listening",
        public=address,
        operator=urls[0],
        **({"operators": urls} if len(urls) > 1 else {}),
        database=settings.database_url if settings.database_url.startswith("sqlite") else "(set)",
        try_it=f"curl '{address}/postback?c=my-first-click&value=1.50'",
        version=VERSION,
        revision=revision(),
        pid=os.getpid(),
    )


def _log_format(settings: Settings) -> LogFormat:
    if settings.log_format == "auto":
        return "console" if sys.stdout.isatty() else "json"
    return settings.log_format
