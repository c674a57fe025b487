"""Owns the logger: structlog for every line but one, and a faster way for the line that every postback gets."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from service.telemetry.log.formats import LogFormat, json_alike, renderer
from service.telemetry.log.line_sink import LineSink
from service.telemetry.log.rate_limit import LogRateLimit

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_RATE_LIMITED = _LEVELS["warning"]  # lines of this level and above are rate-limited


class _SinkLogger:
    """What structlog calls with the rendered line."""

    def __init__(self, sink: LineSink) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = sink.write


class Log:
    """The service's log. `logger` is a structlog logger for everything but postbacks; see `write` for those.

    `count_lines(level, lines)` is called for all lines that pass the level; `rate_limit` is for warnings and worse.
    `everywhere` is in every line: which worker wrote it, when there are several.
    """

    def __init__(  # noqa: PLR0913 - the parts of a log
        self,
        sink: LineSink,
        log_format: LogFormat,
        level: str,
        count_lines: Callable[[str, int], None],
        rate_limit: LogRateLimit,
        *,
        everywhere: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._everywhere = everywhere
        self._sink = sink
        self._rate_limit = rate_limit
        self._threshold = _LEVELS[level]
        self._count_lines = count_lines
        self._render = renderer(log_format)
        self._is_json = log_format == "json"
        self.logger: FilteringBoundLogger = structlog.wrap_logger(
            _SinkLogger(sink),
            processors=[self._limit_rate, self._stamp, structlog.processors.format_exc_info, self._render],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            cache_logger_on_first_use=True,
        ).bind()

    def head(self, event: str) -> EventDict:
        """Return the first fields of a line; its level is filled in when it is written."""
        return {"timestamp": datetime.now(UTC), "level": "", "event": event, **self._everywhere}

    def write(self, level: str, line: EventDict) -> None:
        """Write a line that began with `head`: the same line as `logger.<level>` makes, faster.

        For the one line that every postback gets: structlog would cost as much as parsing the postback.
        """
        severity = _LEVELS[level]
        if severity < self._threshold:
            return
        self._count_lines(level, 1)
        if severity >= _RATE_LIMITED and not self._rate_limit.admits(line["event"], str(line.get("outcome", ""))):
            return
        line["level"] = level
        self._sink.write(self._render(None, level, line))

    def write_alike(self, level: str, line: EventDict, own: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
        """Write lines like this one, one for each of `texts`, which are those of its `own` fields, in its order.

        As `write` does, and for many in a third of the time.
        """
        if not self._is_json or not self._threshold <= _LEVELS[level] < _RATE_LIMITED:
            for some in texts:
                self.write(level, {**line, **dict(zip(own, some, strict=True))})
            return
        self._count_lines(level, len(texts))
        line["level"] = level
        for rendered in json_alike(line, own, texts):
            self._sink.write(rendered)

    def report_rate_limited(self) -> None:
        """Write one line for each kind of line that was rate-limited since the last report."""
        for event, outcome, lines in self._rate_limit.take_rate_limited():
            self.logger.warning("log_rate_limited", of_event=event, outcome=outcome or None, lines=lines)

    def _limit_rate(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Drop lines above the rate limit. All lines of libraries are one kind: their texts may depend on requests."""
        kind = "library" if "logger" in event_dict else event_dict["event"]
        if _LEVELS.get(method, 0) >= _RATE_LIMITED and not self._rate_limit.admits(kind, ""):
            self._count_lines(method, 1)
            raise structlog.DropEvent
        return event_dict

    def _stamp(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        self._count_lines(method, 1)
        event = event_dict.pop("event")
        return {**self.head(event), "level": method, **event_dict}
