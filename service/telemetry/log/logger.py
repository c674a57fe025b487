"""Owns the log: a structlog logger that writes one JSON object a line, through a sink that never blocks its callers.

The sink takes whole lines into a bounded queue; one thread writes them out in large pieces. A blocked or broken stdout
costs lines, which are counted, and never a postback. Workers that share one stdout write in turn: a pipe takes more
than 4 KiB in several pieces, between which another process's could come.
"""

import fcntl
import json
import logging
import mmap
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Literal, Self

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from service.telemetry.log.rate_limit import FloodBound

LogFormat = Literal["json", "console"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_BOUNDED = _LEVELS["warning"]  # from here on lines that are all alike have a bound
_GATHER_SECONDS = 0.02  # how long lines may gather before they are written together
_CAPACITY_LINES = 20_000  # about 10 MB


class Alone:
    """The turn of a process that has its output for itself. `torn`: the last line that went out has no end yet."""

    torn = False

    def __enter__(self) -> Self:
        """Nobody needs to be waited for."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody waits."""


class SharedTurns:
    """The turns of several processes at one output: they hold the lock of a common file, whose one byte is `torn`.

    A process that dies gives its turn up; it leaves `torn` behind if it died within a line.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.ftruncate(fd, 1)
        self._byte = mmap.mmap(fd, 1)

    def __enter__(self) -> Self:
        """Wait until nobody else writes."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next one write."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN)

    @property
    def torn(self) -> bool:
        """Whether the last line that went out has no end yet, whosever it was."""
        return self._byte[0] != 0

    @torn.setter
    def torn(self, torn: bool) -> None:
        self._byte[0] = torn


class LineSink:
    """A bounded queue of lines in front of a file descriptor, emptied by a thread of its own.

    `write` never blocks. While `capacity` lines wait, further ones are dropped and `on_drop(count)` is told; the same
    goes for lines that the descriptor refuses.
    """

    def __init__(
        self,
        fd: int,
        on_drop: Callable[[int], None],
        capacity: int = _CAPACITY_LINES,
        turn: Alone | SharedTurns | None = None,
    ) -> None:
        self._fd = fd
        self._on_drop = on_drop
        self._capacity = capacity
        self._turn = turn or Alone()
        self._lines: deque[bytes] = deque()
        self._signalled = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line (without its newline), or drop and count it when the queue is full."""
        if len(self._lines) >= self._capacity:
            self._on_drop(1)
            return
        self._lines.append(line)
        if not self._signalled:  # one wake-up a gathering, not one a line
            self._signalled = True
            self._wake.set()
            if not self._thread.is_alive():  # closed: what comes now (a crash's last word) goes out at once
                self._write_out()
                self._signalled = False

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for at most `timeout` seconds; what a blocked descriptor still holds then is lost."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._signalled = False
            self._write_out()
        self._write_out()

    def _write_out(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        with self._turn as turn:
            self._write_block(turn, b"\n".join([*lines, b""]))

    def _write_block(self, turn: Alone | SharedTurns, block: bytes) -> None:
        start = written = 0
        torn = turn.torn
        if torn:
            block, start = b"\n" + block, 1
        turn.torn = True  # as it will be if we are killed in the middle
        try:
            while written < len(block):
                written += os.write(self._fd, memoryview(block)[written:])
        except OSError:  # a closed pipe, a full disk: the log may fail, the service may not
            self._on_drop(block.count(b"\n", max(written, start)))
        turn.torn = block[written - 1 : written] != b"\n" if written else torn


class _SinkLogger:
    """What structlog calls with the rendered line."""

    def __init__(self, sink: LineSink) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = sink.write


class Log:
    """The service's log. `logger` is a structlog logger for everything but postbacks; see `write` for those.

    `count_line(level)` is told of every line that passes the level, and `flood` bounds those of warnings and worse.
    `everywhere` is in every line: which worker wrote it, when there are several.
    """

    def __init__(  # noqa: PLR0913 - the parts of a log
        self,
        sink: LineSink,
        log_format: LogFormat,
        level: str,
        count_line: Callable[[str], None],
        flood: FloodBound,
        *,
        everywhere: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._everywhere = everywhere
        self._sink = sink
        self._flood = flood
        self._threshold = _LEVELS[level]
        self._count_line = count_line
        self._render = _render_json if log_format == "json" else _console_renderer()
        self.logger: FilteringBoundLogger = structlog.wrap_logger(
            _SinkLogger(sink),
            processors=[self._bound, self._stamp, structlog.processors.format_exc_info, self._render],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            cache_logger_on_first_use=True,
        ).bind()

    def head(self, event: str) -> EventDict:
        """Return how a line of this moment begins; its level is named when it is written."""
        return {"timestamp": datetime.now(UTC), "level": "", "event": event, **self._everywhere}

    def write(self, level: str, line: EventDict) -> None:
        """Write a head with what follows it: the same line as `logger.<level>` makes, without its set-up for each.

        For the one line that every postback gets: structlog's way would cost as much as parsing it.
        """
        severity = _LEVELS[level]
        if severity < self._threshold:
            return
        self._count_line(level)
        if severity >= _BOUNDED and not self._flood.admits(line["event"], str(line.get("outcome", ""))):
            return
        line["level"] = level
        self._sink.write(self._render(None, level, line))

    def report_left_out(self) -> None:
        """Write one line for each kind of line that came too thick since the last report."""
        for event, outcome, lines in self._flood.take_left_out():
            self.logger.warning("log_rate_limited", of_event=event, outcome=outcome or None, lines=lines)

    def _bound(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Leave out what comes too thick. A library's lines are one kind: what they say is up to the requests."""
        kind = "library" if "logger" in event_dict else event_dict["event"]
        if _LEVELS.get(method, 0) >= _BOUNDED and not self._flood.admits(kind, ""):
            self._count_line(method)
            raise structlog.DropEvent
        return event_dict

    def _stamp(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        self._count_line(method)
        event = event_dict.pop("event")
        return {**self.head(event), "level": method, **event_dict}


def _render_json(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> bytes:
    try:
        return orjson.dumps(event_dict, default=repr, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half a surrogate pair, an integer over 64 bits: the standard library is slower and takes both
        return json.dumps(event_dict, default=_plain).encode()


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else repr(value)


def _console_renderer() -> Callable[[WrappedLogger, str, EventDict], bytes]:
    render = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), sort_keys=False)

    def render_bytes(logger: WrappedLogger, method: str, event_dict: EventDict) -> bytes:
        shown = {name: _printable(name, value) for name, value in event_dict.items()}
        shown["timestamp"] = event_dict["timestamp"].strftime("%H:%M:%S.%f")[:-3]
        return str(render(logger, method, shown)).encode("utf-8", "backslashreplace")

    return render_bytes


def _printable(name: str, value: object) -> object:
    """Keep what was sent from driving the terminal or making a line of its own; only our tracebacks have lines."""
    if isinstance(value, str) and name != "exception" and not value.isprintable():
        return ascii(value)
    return value


class _StdlibHandler(logging.Handler):
    """Carries the standard library's log records (uvicorn, asyncio, warnings) into the same lines."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        try:
            self._logger.log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 - as logging's own handlers do: a library's bad record harms nobody else
            self.handleError(record)


def capture_everything(logger: FilteringBoundLogger, level: str) -> None:
    """Send the standard library's logging, Python's warnings and uncaught exceptions through `logger`."""
    logging.basicConfig(handlers=[_StdlibHandler(logger)], level=level.upper(), force=True)
    if level != "debug":
        for chatty in ("uvicorn.error", "alembic"):  # what they tell in health, our own lines tell better
            logging.getLogger(chatty).setLevel(max(logging.WARNING, _LEVELS[level]))
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default", ResourceWarning)

    def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("crashed", error=repr(error), exc_info=(kind, error, trace))

    sys.excepthook = crash
    threading.excepthook = lambda args: crash(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
