"""Owns the composition of a spool: journal, the writer before it, outage and drain, opened and closed as one."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from service.core.judging import Part
from service.core.unavailable import StorageError
from service.core.verdict import Entry
from service.spool.backlog import Backlog
from service.spool.drain import Drain
from service.spool.fallback import SPOOL_SECONDS, SpoolingWriter
from service.spool.following import Following
from service.spool.journal import Journal
from service.spool.others import Others
from service.spool.outage import Outage
from service.spool.pace import PACE, Pace
from service.spool.waiting import WaitingClickIds
from service.storage.daemon_thread import run_in_daemon_thread
from service.storage.ledger import AsyncLedger, Committed, Ledger
from service.storage.spooling import Spooling
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.commits import JournalCounts
from service.writing.committing import Committing, OnLoop, OnThread
from service.writing.writer import Writer


class OpenedLater:
    """A ledger whose database need not be there at the start: until it is, every commit tries to open it first.

    `prepare` is what such a belated opening does before: run the migrations that the start could not. `begin` is what
    every opening does before the first commit.
    """

    def __init__(
        self, ledger: Ledger, prepare: Callable[[], None] = lambda: None, begin: Callable[[], None] = lambda: None
    ) -> None:
        self._ledger = ledger
        self._prepare = prepare
        self._begin = begin
        self.is_open = False

    def open(self) -> None:
        """Open the ledger. Raises StorageError."""
        self._ledger.open()
        try:
            self._begin()
        except BaseException:
            self._ledger.close()
            raise
        self.is_open = True

    def committing(self) -> Committing:
        """Return where its commits are made: on the event loop, if they can be."""
        if isinstance(self._ledger, AsyncLedger):
            return OnLoop(_OpenedLaterAsync(self, self._ledger))
        return OnThread(self)

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, after opening if that was not possible before."""
        self.ensure_open()
        return self._ledger.commit(entries, parts)

    def ensure_open(self) -> None:
        """Open it if that was not possible before, which blocks."""
        if not self.is_open:
            self._prepare()
            self.open()

    def close(self) -> None:
        """Close what was opened."""
        if self.is_open:
            self._ledger.close()


class _OpenedLaterAsync(NamedTuple):
    """The same for commits on the event loop."""

    place: OpenedLater
    ledger: AsyncLedger

    async def commit_async(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, after opening if that was not possible before."""
        if not self.place.is_open:
            await run_in_daemon_thread(self.place.ensure_open)
        return await self.ledger.commit_async(entries, parts)


class Spool:
    """A journal beside a database's writer. `writer` is what takes the postbacks; it needs `running()`."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        journal: Journal,
        database: Writer,
        metrics: Metrics,
        log: Log,
        *,
        spooling: Callable[[], Spooling],
        deadline: float = SPOOL_SECONDS,
        pace: Pace = PACE,
    ) -> None:
        self._journal = journal
        self._spool = Writer(OnThread(journal), JournalCounts(metrics), deadline=deadline)
        self._outage = Outage(metrics, log)
        self._drain = Drain(journal, database, self._outage, metrics, log, spooling=spooling, pace=pace)
        self._metrics = metrics
        self._log = log
        self._pace = pace
        self.writer = SpoolingWriter(database, self._spool, self._outage)

    def stands_in(self, error: StorageError) -> bool:
        """Begin with an outage if that is what kept the database from being opened; say whether it is."""
        return self._outage.begin_with(error)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the journal, drain while the context is open, and leave what is left for the next start.

        Raises StorageError when the journal cannot be opened, another process has it, or it is for another database.
        """
        self._journal.open()
        others, waiting = Others(self._journal, self._log), WaitingClickIds(self._journal.flags)
        self.writer.following = Following(waiting)

        def close() -> None:
            for part in (waiting, others, self._journal):  # what reads the journals before their locks are given back
                part.close()

        try:
            await self._drain.begin(Backlog(self._journal, others, waiting, self._log, self._pace))
        except StorageError:
            close()
            raise
        self._metrics.spool.watch(self._journal, others)
        self._spool.start()
        self._log.logger.info("spool_open", path=str(self._journal.path), waiting=self._journal.found)
        try:
            yield
        finally:
            await self._drain.stop()
            if await self._spool.close():  # else a hung disk holds the connection
                close()
