"""Owns a database with a retention beside it, as the tests of retention need it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.admission import Bounds
from service.storage.deletions.deleting import Deletions
from service.storage.deletions.finding import ROW_BYTES
from service.storage.location import SqliteFile
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.writing.retention import Clock, Limits, Looked, Pace, Retention
from tests.support import builders
from tests.support.fakes import KeptLines, kept_log

CAME = builders.RECEIVED_AT
FOR_EVER = Limits(0, 0, 0, Bounds(2**30, 2**30))
EACH = 1000  # bytes that one of `rejected` takes
CLOCK = Clock()
AT_ONCE = Pace(pause_seconds=0.0, rest=0.0)


def room(senders: int, strangers: int = 1) -> Limits:
    """Return the limits that keep so many of `rejected`, of known senders and of strangers."""
    return FOR_EVER._replace(rejected=Bounds(strangers * EACH, senders * EACH))


class Kept:
    """A database with a retention beside it, whose clock the test sets."""

    def __init__(self, path: Path, limits: Limits, pace: Pace, clock: Clock) -> None:
        self.database = SqliteDatabase(SqliteFile(path))
        self.ledger = SqliteLedger(path)
        self.ledger.open()
        self.metrics, self.lines, self.now = Metrics(), KeptLines(), CAME
        self.opening: list[Exception] = []
        self.opened: list[Deletions] = []
        log = kept_log(self.lines, self.metrics)
        clock = clock._replace(now=lambda: self.now)
        self.retention = Retention(self._open, limits, self.metrics, log, pace=pace, clock=clock)

    def _open(self) -> Deletions:
        if self.opening:
            raise self.opening[0]
        return self.opened[0] if self.opened else self.database.deletions()

    def look(self, *, trusted: bool = True) -> Looked:
        """Look once, as the thread does, and tell it, as the loop does; by a clock that a person believes, or not."""
        if trusted:
            self.database.deletions().clock.accept(self.now)
        looked = self.retention.look()
        self.retention.tell(looked)
        return looked

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Ask the database."""
        with self.database.audit() as audit:
            return [tuple(row) for row in audit.rows(statement)]

    def change(self, statement: str) -> None:
        """Change the tables behind the service's back."""
        with closing(sqlite3.connect(self.database.path)) as connection, connection:
            connection.execute(statement)

    def left(self, table: str = "rejected_postback") -> list[str]:
        """Return the click ids that a table holds, oldest first."""
        return [str(row[0]) for row in self.rows(f"SELECT click_id FROM {table} ORDER BY received_at")]  # noqa: S608 - our own


@contextmanager
def keeping(path: Path, limits: Limits, pace: Pace = AT_ONCE, clock: Clock = CLOCK) -> Iterator[Kept]:
    kept = Kept(path, limits, pace, clock)
    yield kept
    kept.ledger.close()


def rejected(name: str, days: int = 0, sender: str | None = "ezmob") -> Rejection:
    raw = builders.raw(f"c={name}&x=", received_at=CAME + timedelta(days=days))
    filled = raw._replace(query=raw.query + b"x" * (EACH - ROW_BYTES - len(raw.as_sent())))
    return Rejection(filled, sender, Outcome.INVALID_VALUE, "", name)


def days(number: float) -> datetime:
    return CAME + timedelta(days=number)
