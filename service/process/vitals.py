"""Owns what the process measures of itself in the background: readiness, the event loop's lag, disk space, its log."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event, Thread
from typing import NamedTuple

from service.storage.daemon_thread import run_in_daemon_thread
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.counts import Space
from service.writing.readiness import Readiness


class Intervals(NamedTuple):
    """How many seconds lie between two measurements."""

    ready: float = 5.0  # twice that is the oldest that `postback_ready` can be
    lag: float = 0.25
    space: float = 10.0
    log: float = 10.0


USUAL = Intervals()


class Vitals:
    """Background measurements; `measure_space` may block, so it has threads of its own that nobody waits for."""

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        readiness: Readiness,
        measure_space: Callable[[], Space],
        intervals: Intervals = USUAL,
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._readiness = readiness
        self._measure_space = measure_space
        self._intervals = intervals
        self._stopping = Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure while the context is open."""
        self._metrics.space = await run_in_daemon_thread(self._measure_space)
        Thread(target=self._watch_space, name="vitals", daemon=True).start()
        watches = (self._readiness.watch(self._intervals.ready), self._watch_lag(), self._report_rate_limited())
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
            due = time.perf_counter() + self._intervals.lag
            await asyncio.sleep(self._intervals.lag)
            self._metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - due))

    async def _report_rate_limited(self) -> None:
        while True:
            await asyncio.sleep(self._intervals.log)
            self._log.report_rate_limited()

    def _watch_space(self) -> None:
        while not self._stopping.wait(self._intervals.space):
            self._metrics.space = self._measure_space()
