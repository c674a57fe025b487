"""Owns what the process measures of itself in the background: readiness, the event loop's lag, disk space, its log."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event, Thread

from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.counts import Space
from service.writing.readiness import Readiness

_READY_SECONDS = 5.0  # between two looks; twice that is the oldest that `postback_ready` can be
_LAG_SECONDS = 0.25
_SPACE_SECONDS = 10.0
_LOG_SECONDS = 10.0


class Vitals:
    """Background measurements; `measure_space` may block, so it has a thread of its own that nobody waits for."""

    def __init__(self, metrics: Metrics, log: Log, readiness: Readiness, measure_space: Callable[[], Space]) -> None:
        self._metrics = metrics
        self._log = log
        self._readiness = readiness
        self._measure_space = measure_space
        self._stopping = Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure while the context is open."""
        self._metrics.space = self._measure_space()
        Thread(target=self._watch_space, name="vitals", daemon=True).start()
        watches = (self._readiness.watch(_READY_SECONDS), self._watch_lag(), self._report_rate_limited())
        tasks = [asyncio.create_task(watch) for watch in watches]
        try:
            yield
        finally:
            self._stopping.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._log.report_rate_limited()

    async def _watch_lag(self) -> None:
        while True:
            due = time.perf_counter() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            self._metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - due))

    async def _report_rate_limited(self) -> None:
        while True:
            await asyncio.sleep(_LOG_SECONDS)
            self._log.report_rate_limited()

    def _watch_space(self) -> None:
        while not self._stopping.wait(_SPACE_SECONDS):
            self._metrics.space = self._measure_space()
