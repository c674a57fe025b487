"""Owns the engine's fakes: a store that is held or fails, a log kept in memory, metrics read back, a clock to move."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from service.auth.authenticator import Caller
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.auth.open_mode import authenticate_open
from service.core.judging import Part
from service.core.outcome import Outcome
from service.core.postback import RawPostback
from service.core.verdict import Entry, Probe, Verdict
from service.storage.ledger import Committed
from service.telemetry.log import Log
from service.telemetry.log.line_sink import LineSink
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.metrics import Metrics

Line = dict[str, object]
Result = TypeVar("Result")
PATIENCE = 10.0  # for what must come about: without it a test fails instead of hanging


async def in_time(awaited: Awaitable[Result]) -> Result:
    """Await what must come about."""
    async with asyncio.timeout(PATIENCE):
        return await awaited


async def from_ezmob(raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
    """Authenticate as open mode does."""
    return Caller(authenticate_open(raw))


class FakeStore:
    """A store that keeps its batches, commits while its gate is open, and fails a commit for each of `failures`."""

    def __init__(self, *failures: Exception) -> None:
        self.batches: list[list[Entry]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self._failures = list(failures)

    def commit(self, entries: Sequence[Entry], _parts: Sequence[Part] = ()) -> Committed:
        """Return a verdict that names its entry's batch and place, or raise the next failure."""
        self.batches.append(list(entries))
        self.begun.release()
        self.gate.wait()
        if self._failures:
            raise self._failures.pop(0)
        verdicts = [Verdict(Outcome.STORED, f"{len(self.batches)}.{place}") for place in range(len(entries))]
        return Committed(verdicts, {"conversion": sum(type(entry) is not Probe for entry in entries)})

    @property
    def sizes(self) -> list[int]:
        """Say how many entries each batch had."""
        return [len(batch) for batch in self.batches]


class KeptLines(LineSink):
    """A sink that keeps its lines in memory instead of writing them to a descriptor."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Keep one line."""
        self.kept.append(line)

    def events(self, event: str = "postback") -> list[Line]:
        """Return the lines of one event, parsed."""
        lines: list[Line] = [json.loads(line) for line in self.kept]
        return [line for line in lines if line["event"] == event]


def kept_log(lines: KeptLines, metrics: Metrics) -> Log:
    """Return a JSON log that keeps everything in `lines` and counts it in `metrics`."""
    return Log(lines, "json", "debug", metrics.count_log_lines, LogRateLimit(metrics.count_log_rate_limited))


def samples(metrics: Metrics, name: str, *, zeros: bool = False) -> dict[tuple[str, ...], float]:
    """Return what a scrape shows under one name, without the zeros unless asked for, by the values of its labels."""
    found = [sample for family in metrics.collect() for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in found if sample.value or zeros}


class LoopClock:
    """The running loop's clock, which a test moves on: what would happen in a minute happens now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._ahead = 0.0
        monkeypatch.setattr(loop, "time", lambda: self._real() + self._ahead)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


def ticking(*moments: float) -> Callable[[], float]:
    """Return a clock that gives these moments, one at each call."""
    return iter(moments).__next__
