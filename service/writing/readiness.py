"""Owns the question whether a postback sent now would be stored: proven by a real commit through the same queue."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from service.core.outcome import Outcome
from service.core.unavailable import Overloaded, StorageError
from service.core.verdict import Probe
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.writer import WritesOften

_PROBE_SECONDS = 1.0  # one write a second at most, however often readiness is asked


class Readiness:
    """Answers with the reason why not, or None; the answer is also the gauge `postback_ready`.

    It probes once in `probe_seconds` at most, by `clock`. `spooling` says that it is the spool that would take it: an
    honest receipt, and the database is away.
    """

    def __init__(
        self,
        writer: WritesOften,
        metrics: Metrics,
        *,
        probe_seconds: float = _PROBE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spooling = False
        self._writer = writer
        self._metrics = metrics
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._reason: str | None = None

    async def reason(self) -> str | None:
        """Return why a postback would not be stored now, None if it would."""
        async with self._lock:
            if self._clock() - self._asked_at >= self._probe_seconds:
                self._reason = await self._probe()
                self._asked_at = self._clock()
                self._metrics.ready = self._reason is None
        return self._reason

    async def watch(self, seconds: float) -> None:
        """Keep the gauge true for ever: ask, unless a postback's commit worked within the last `seconds`."""
        while True:
            await asyncio.sleep(seconds)
            if self._writer.committed_within(seconds):
                self._metrics.ready = True
            else:
                await self.reason()

    async def _probe(self) -> str | None:
        try:
            written = await self._writer.write(NOBODY, Probe(datetime.now(UTC)))
        except (Overloaded, StorageError) as error:
            return str(error)
        self.spooling = written.verdict.outcome is Outcome.SPOOLED
        return None
