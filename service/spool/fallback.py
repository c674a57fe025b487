"""Owns the choice between database and spool for each entry, within one request's deadline."""

from collections.abc import Sequence

from service.core.judging import Manner
from service.core.unavailable import Overloaded, StorageBroken, StorageError
from service.core.verdict import Entry, Probe
from service.spool.outage import Outage
from service.telemetry.metrics.books import Teller
from service.writing.writer import Writer, Written

DATABASE_SECONDS = 0.9  # what the database has of a request's 1.5 s
COMMIT_SECONDS = 0.8  # what a commit with its retries has of that: its connection is free again when it is given up
SPOOL_SECONDS = 0.4  # what the journal's fsync has after that; the rest is the pace at which deadlines are looked at


class SpoolingWriter:
    """Writes to the database; what it does not take in time goes to the spool, with the outcome `spooled`.

    During an outage nobody waits for the database: newcomers go to the spool at once, and the drain finds out when it
    is back. Two writers of the same kind, so both have their group commit, their bounded queue and their deadline.
    """

    def __init__(self, database: Writer, spool: Writer, outage: Outage) -> None:
        self._database = database
        self._spool = spool
        self._outage = outage

    async def write(self, teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> Written:
        """Return the verdicts once the entries are durable, all in the database or all in the spool.

        Raises Overloaded or StorageError when neither takes them: they may be in the database, and are in no spool.
        """
        tried = False
        if not self._outage.on and not self._outage.following.must(entries):
            try:
                future = self._database.write(teller, *entries, manner=manner)
                tried = True
                return await future
            except StorageBroken:
                raise
            except StorageError as error:
                self._outage.begin(error)
            except Overloaded:
                pass  # it is there, and slower than what arrives: the spool takes the rest
        return await self._spool_them(teller, entries, tried=tried)

    async def _spool_them(self, teller: Teller, entries: Sequence[Entry], *, tried: bool) -> Written:
        held = {entry.raw.request_id for entry in entries if not isinstance(entry, Probe)} if tried else set()
        self._outage.may_hold |= held  # before they are in the spool, where the drain may find them at once
        self._outage.following.enter(entries)
        try:
            written = await self._spool.write(teller, *entries)
        except Overloaded:  # after any other failure they may be in the journal all the same
            self._outage.may_hold -= held
            raise
        finally:
            self._outage.following.entered(entries)
        self._outage.wake.set()
        return written

    def committed_within(self, seconds: float) -> bool:
        """Say whether a commit worked that recently, in whichever of the two takes entries now."""
        return (self._spool if self._outage.on else self._database).committed_within(seconds)
