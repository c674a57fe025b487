"""Owns the choice between database and spool for each entry, within one request's deadline."""

from collections.abc import Sequence

from service.core.judging import Manner
from service.core.unavailable import ErrorKind, NotTogether, Overloaded, StorageBroken, StorageError
from service.core.verdict import Entry
from service.spool.following import Following
from service.spool.outage import Outage
from service.telemetry.metrics.books import Teller
from service.writing.writer import Writer, Written

DATABASE_SECONDS = 0.9  # what the database has of a request's 1.5 s
COMMIT_SECONDS = 0.8  # what a commit with its retries has of that: its connection is free again when it is given up
SPOOL_SECONDS = 0.4  # what the journal's fsync has after that; the rest is the pace at which deadlines are looked at
_ATOMIC = "a batch of all or none is judged by the database"


class SpoolingWriter:
    """Writes to the database; what it does not take in time goes to the spool, with the outcome `spooled`.

    During an outage nobody waits for the database: newcomers go to the spool at once, and the drain finds out when it
    is back. Two writers of the same kind, so both have their group commit, their bounded queue and their deadline.
    """

    def __init__(self, database: Writer, spool: Writer, outage: Outage) -> None:
        self.following: Following | None = None  # once the journals are open
        self._database = database
        self._spool = spool
        self._outage = outage

    async def write(self, teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> Written:
        """Return the verdicts once the entries are durable, all in the database or all in the spool.

        Raises Overloaded or StorageError when neither takes them: they may be in the database, and are in no spool.
        Entries of which all are stored or none are never spooled.
        """
        if manner is Manner.ATOMIC:
            return await self._write_together(teller, entries)
        if not self._outage.on and not await self._must_follow(entries):
            try:
                return await self._database.write(teller, *entries, manner=manner)
            except StorageBroken:
                raise
            except StorageError as error:
                self._outage.begin(error)
            except Overloaded:
                pass  # it is there, and slower than what arrives: the spool takes the rest
        return await self._spool_them(teller, entries)

    async def _write_together(self, teller: Teller, entries: Sequence[Entry]) -> Written:
        if self._outage.on:
            raise NotTogether(f"{_ATOMIC}, which is away: send it again", ErrorKind.PG_CONNECTION)
        if await self._must_follow(entries):
            raise NotTogether(f"{_ATOMIC}, and a click id of it waits in the spool: send it again", ErrorKind.LOCKED)
        try:
            return await self._database.write(teller, *entries, manner=Manner.ATOMIC)
        except StorageBroken:
            raise
        except StorageError as error:
            self._outage.begin(error)
            raise

    async def _must_follow(self, entries: Sequence[Entry]) -> bool:
        following = self.following
        return following is not None and following.anything() and await following.must(entries)

    async def _spool_them(self, teller: Teller, entries: Sequence[Entry]) -> Written:
        self._outage.entering += 1
        try:
            written = await self._spool.write(teller, *entries)
        finally:
            self._outage.entering -= 1
        self._outage.wake.set()
        return written

    def committed_within(self, seconds: float) -> bool:
        """Say whether a commit worked that recently, in whichever of the two takes entries now."""
        return (self._spool if self._outage.on else self._database).committed_within(seconds)
