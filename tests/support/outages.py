"""Owns a real SQLite ledger that fails as a database across a network does, and a service that uses it."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from service.core.judging import Part
from service.core.postback import Postback, Rejection
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Entry, Verdict
from service.intake import Intake
from service.spool.fallback import SpoolingWriter
from service.spool.journal import MAX_BYTES, Journal
from service.spool.pace import Pace
from service.spool.places import journal_paths
from service.spool.wiring import OpenedLater, Spool
from service.storage.database import database_at
from service.storage.ledger import Committed
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from service.writing.readiness import Readiness
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import PATIENCE, KeptLines, from_ezmob, in_time, kept_log, samples
from tests.support.migrated import put_migrated

AWAY = StorageError("connection refused", ErrorKind.PG_CONNECTION)
LOST = StorageError("connection lost at COMMIT", ErrorKind.PG_CONNECTION)
BALANCED = {("arrivals",): 0.0, ("receipts",): 0.0, ("spool",): 0.0}
Behaviour = Literal["well", "away", "hangs", "hangs and commits", "loses its answer", "slow"]
IMPATIENT = Pace(first_delay=0.01, longest_delay=0.02, idle=0.2)
DEADLINE = 0.6  # of the database in a test: what hangs need not hang for long

Row = tuple[object, ...]


class ShakyLedger(SqliteLedger):
    """A ledger that behaves as it is told."""

    def __init__(self, path: Path, behaviour: Behaviour = "well") -> None:
        super().__init__(path)
        self.path = path
        self.behaviour: Behaviour = behaviour
        self.slowness = 0.05
        self.batches: list[list[Entry]] = []
        self.released = threading.Event()

    def open(self) -> None:
        """Open, unless it is away."""
        if self.behaviour == "away":
            raise AWAY
        super().open()

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, or not, or both."""
        self.batches.append(list(entries))
        match self.behaviour:
            case "away":
                raise AWAY
            case "hangs":
                self.released.wait(PATIENCE)
                raise LOST
            case "hangs and commits":
                self.released.wait(PATIENCE)
            case "loses its answer":
                super().commit(entries, parts)
                raise LOST
            case "slow":
                threading.Event().wait(self.slowness)
            case _:
                pass
        return super().commit(entries, parts)

    def recover(self) -> None:
        """Be well again."""
        self.behaviour = "well"
        self.released.set()


@dataclass
class Site:
    """A service with a spool on a shaky ledger, without its HTTP."""

    database: ShakyLedger
    writer: SpoolingWriter
    intake: Intake
    metrics: Metrics
    readiness: Readiness
    journal: Journal
    lines: KeptLines

    async def receive(self, *queries: str) -> list[str]:
        """Let postbacks come in at once, and say what became of each."""
        verdicts = await in_time(asyncio.gather(*[self.verdict(query) for query in queries]))
        return [verdict.outcome.value for verdict in verdicts]

    async def verdict(self, query: str) -> Verdict:
        """Let one postback come in."""
        return await self.intake.receive(builders.raw(query))

    async def drained(self) -> None:
        """Wait until nothing is left in the spool, with balanced books all the while."""
        await self.until(lambda: not self.metrics.spool.entries and not self.metrics.spool.active)

    async def until(self, come_about: Callable[[], bool]) -> None:
        """Wait for what must come about, with balanced books in every turn of the loop."""
        async with asyncio.timeout(PATIENCE):
            while not come_about():
                assert self.drift == BALANCED
                await asyncio.sleep(0)
        assert self.drift == BALANCED

    @property
    def drift(self) -> dict[tuple[str, ...], float]:
        """Return the sums that must be 0."""
        return samples(self.metrics, "postback_conservation_drift", zeros=True)

    def spool(self, name: str) -> dict[tuple[str, ...], float]:
        """Return what a scrape shows of the spool under a name."""
        return samples(self.metrics, f"postback_spool_{name}")

    def stored(self) -> dict[str, str]:
        """Return the value of each conversion in the database, by click id."""
        return {str(click_id): str(value) for click_id, value in self.rows("SELECT click_id, value FROM conversion")}

    def rows(self, statement: str) -> list[Row]:
        """Ask the database."""
        with closing(sqlite3.connect(f"file:{self.database.path}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()


@asynccontextmanager
async def site(  # noqa: PLR0913 - what a test may choose
    folder: Path,
    behaviour: Behaviour = "well",
    *,
    place: str = "",
    max_bytes: int = MAX_BYTES,
    deadline: float = DEADLINE,
    capacity: int = 4096,
    pace: Pace = IMPATIENT,
    ledger_kind: type[ShakyLedger] = ShakyLedger,
) -> AsyncIterator[Site]:
    """Run a service as `app` wires it; again on the same folder, it is the next process."""
    metrics, lines = Metrics(), KeptLines()
    log = kept_log(lines, metrics)
    database = ledger_kind(folder / "postback.db", behaviour)
    ledger = OpenedLater(database)
    writer = Writer(ledger.committing(), metrics, deadline=deadline, capacity=capacity)
    journal = Journal(journal_paths(folder / "spool", 0)[0], place=place, max_bytes=max_bytes)
    # a slow disk of the tests' is not what they test
    home = database_at(f"sqlite:///{database.path}")
    asked = partial(home.spooling, writer)
    spool = Spool(journal, writer, metrics, log, spooling=asked, deadline=PATIENCE, pace=pace)
    put_migrated(database.path)
    with suppress(StorageError):
        ledger.open()
    if behaviour == "away":
        assert spool.stands_in(AWAY)
    writer.start()
    try:
        async with spool.running():
            intake = Intake(from_ezmob, spool.writer, LiveRecord(metrics, log))
            readiness = Readiness(spool.writer, metrics, probe_seconds=0.0)
            yield Site(database, spool.writer, intake, metrics, readiness, journal, lines)
            database.released.set()
    finally:
        database.released.set()
        home.close()
        if await in_time(writer.close()):
            ledger.close()


async def spooled(there: Site, *queries: str) -> None:
    """Let postbacks come in one after the other during an outage."""
    there.database.behaviour = "away"
    for query in queries:
        assert await there.receive(query) == ["spooled"]


def committed(batches: Sequence[Sequence[Entry]]) -> list[str]:
    """Return the click ids that were handed to the database, in order."""
    return [entry.click_id for batch in batches for entry in batch if isinstance(entry, Postback)]


def appended(folder: Path, worker: int, postbacks: Sequence[Postback | Rejection]) -> Journal:
    """Open a worker's journal and append these, each at the moment when it was received."""
    moments = iter([int(one.raw.received_at.timestamp() * 1_000_000) * 1000 for one in postbacks])
    journal = Journal(journal_paths(folder / "spool", worker)[0], clock=lambda _: lambda: next(moments, time.time_ns()))
    journal.open()
    journal.commit(postbacks)
    return journal


def left_by_an_earlier_process(folder: Path, *postbacks: Postback | Rejection) -> None:
    """Make a journal with these entries."""
    appended(folder, 0, postbacks).close()


@contextmanager
def another_worker(folder: Path, *postbacks: Postback) -> Iterator[Journal]:
    """Have another worker's journal open in which these wait, as a process beside this one does."""
    journal = appended(folder, 1, postbacks)
    yield journal
    journal.close()
