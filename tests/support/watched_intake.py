"""Owns an intake on a store, and what its readers see of it: verdicts, counts, lines and rows."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.auth.authenticator import Authenticate
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.postback import RawPostback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Verdict
from service.intake import Intake
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from service.writing.committing import OnThread, Store
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import KeptLines, Line, from_ezmob, in_time, kept_log, samples

FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)


@dataclass
class Arrived:
    """A batch that is here as a whole; what is asked of it is noted."""

    head: RawPostback
    credentials: Credentials = NO_CREDENTIALS
    asked: list[str] = field(default_factory=list)

    async def whole(self, sender: str) -> RawPostback:
        """Give it."""
        self.asked.append(sender)
        return self.head

    def so_far(self) -> RawPostback:
        """Give it."""
        return self.head


@dataclass
class Watched:
    """An intake, and what its readers see of it."""

    intake: Intake
    metrics: Metrics
    lines: KeptLines

    async def receive(self, raw: RawPostback) -> Verdict:
        """Walk the line."""
        return await in_time(self.intake.receive(raw))

    async def receive_batch(self, raw: RawPostback) -> Verdict | list[Verdict]:
        """Walk the line with many."""
        return await in_time(self.intake.receive_batch(Arrived(raw)))

    @property
    def counted(self) -> dict[tuple[str, ...], float]:
        """Return the counts that are not 0, by door and outcome."""
        return samples(self.metrics, "postback_received_total")

    def only_line(self) -> Line:
        """Return the one canonical line there is."""
        (line,) = self.lines.events()
        return line


@asynccontextmanager
async def watching(
    store: Store,
    authenticate: Authenticate = from_ezmob,
    capacity: int = 100,
    *,
    stopwatch: Callable[[], float] = time.perf_counter,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Watched]:
    """Run an intake on a store; the stopwatch measures the whole line and each commit."""
    metrics, lines = Metrics(), KeptLines()
    writer = Writer(OnThread(store, stopwatch), metrics, capacity=capacity, deadline=60.0)
    writer.start()
    try:
        record = LiveRecord(metrics, kept_log(lines, metrics), clock)
        yield Watched(Intake(authenticate, writer, record, stopwatch), metrics, lines)
    finally:
        await in_time(writer.close())


@pytest.fixture
async def watched(sqlite_ledger: SqliteLedger) -> AsyncIterator[Watched]:
    """Run an intake on the real ledger."""
    async with watching(sqlite_ledger) as line:
        yield line


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Ask the database."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def batch_of(*rows: str, **changes: object) -> RawPostback:
    """Return an NDJSON batch."""
    given = {"door": "batch", "path": "/postbacks", **changes}
    return builders.posted("\n".join(rows).encode(), "application/x-ndjson", **given)
