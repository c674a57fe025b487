"""Owns the log of a process, and what it says at the start: settings that are none, and where the service listens."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger

from service.core.version import VERSION, revision
from service.process.sockets import url_of
from service.settings import Settings, slips
from service.telemetry.log import Log
from service.telemetry.log.capture import capture_everything
from service.telemetry.log.formats import LogFormat
from service.telemetry.log.line_sink import LineSink, SharedOutput, UnsharedOutput
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.metrics import Metrics


@contextmanager
def logging_to_stdout(
    settings: Settings, metrics: Metrics, output: UnsharedOutput | SharedOutput | None = None, **everywhere: object
) -> Iterator[Log]:
    """Open the process's log, with all that libraries say in it, and write it out at the end."""
    sink = LineSink(sys.stdout.fileno(), metrics.count_log_dropped, output=output)
    try:
        limit = LogRateLimit(metrics.count_log_rate_limited)
        log = Log(
            sink, _log_format(settings), settings.log_level, metrics.count_log_lines, limit, everywhere=everywhere
        )
        capture_everything(log.logger, settings.log_level)
        yield log
    finally:
        sink.close()


def tell_unknown_settings(log: Log) -> None:
    """Warn of variables, also in a .env file, that look like settings and are none."""
    for sentence in slips():
        log.logger.warning("unknown_setting", detail=sentence)


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
