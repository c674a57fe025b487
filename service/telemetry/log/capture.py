"""Owns the capture of lines that do not come from our logger: stdlib logging, warnings and uncaught exceptions."""

import logging
import sys
import threading
import warnings
from types import TracebackType

from structlog.typing import FilteringBoundLogger


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
        for chatty in ("uvicorn.error", "alembic"):  # what they say in normal operation, our own lines say better
            logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default", ResourceWarning)

    def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("crashed", error=repr(error), exc_info=(kind, error, trace))

    sys.excepthook = crash
    threading.excepthook = lambda args: crash(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
