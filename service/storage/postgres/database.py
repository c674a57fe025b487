"""Owns what can be done with a database on a PostgreSQL server, and the connections for it."""

from service.core.unavailable import StorageError
from service.storage.admission import Bounds
from service.storage.corrections import Corrections
from service.storage.deletions.clock import clock_of
from service.storage.deletions.deleting import Deletions
from service.storage.erasure import Clock, Erasure
from service.storage.imports import Imports
from service.storage.ledger import DEADLINE_SECONDS, Ledger
from service.storage.location import PostgresServer
from service.storage.migrations import Migrations
from service.storage.pool import Pool
from service.storage.postgres.audit import PostgresAudit
from service.storage.postgres.ledger import PostgresLedger
from service.storage.postgres.server import engine_of, pooled_engine, postgres_error
from service.storage.reads.conversions import Conversions
from service.storage.reads.history import History
from service.storage.reads.quarantine import Quarantine
from service.storage.reads.search import STRETCH_ROWS, Search
from service.storage.replays import Replays
from service.storage.senders import Senders
from service.storage.spooling import Spooling
from service.storage.turns import IMMEDIATE, Turns
from service.telemetry.metrics.counts import Space

_SPACE_SECONDS = 2.0


class PostgresDatabase:
    """A database on a PostgreSQL server."""

    shared = True

    def __init__(self, place: PostgresServer) -> None:
        self._place = place
        self.name = place.name
        self._reading = Pool(pooled_engine(place), postgres_error)
        self._writing = Pool(pooled_engine(place, writes=True), postgres_error)

    def ledger(self, seconds: float = DEADLINE_SECONDS, bounds: Bounds | None = None) -> Ledger:
        """Return this process's writer; other processes have theirs."""
        return PostgresLedger(self._place, self.migrations(), seconds=seconds, bounds=bounds)

    def history(self) -> History:
        """Return reads in read-only transactions."""
        return History(self._reading)

    def quarantine(self) -> Quarantine:
        """Return reads in read-only transactions."""
        return Quarantine(self._reading)

    def conversions(self) -> Conversions:
        """Return reads in read-only transactions."""
        return Conversions(self._reading)

    def search(self, stretch_rows: int = STRETCH_ROWS) -> Search:
        """Return reads in read-only transactions."""
        return Search(self._reading, stretch_rows)

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return writes in transactions of their own."""
        return Replays(self._writing, turns)

    def corrections(self, turns: Turns = IMMEDIATE) -> Corrections:
        """Return writes in transactions of their own."""
        return Corrections(self._reading, self._writing, turns)

    def imports(self, turns: Turns = IMMEDIATE) -> Imports:
        """Return writes in transactions of their own."""
        return Imports(self._reading, self._writing, turns)

    def deletions(self, turns: Turns = IMMEDIATE) -> Deletions:
        """Return what deletes, beside the ledger's connection."""
        return Deletions(self._reading, self._writing, turns)

    def erasure(self, turns: Turns = IMMEDIATE, clock: Clock = clock_of) -> Erasure:
        """Return what erases; the server's own VACUUM overwrites, in its time."""
        return Erasure(self._reading, self._writing, lambda: None, turns, clock)

    def senders(self, turns: Turns = IMMEDIATE) -> Senders:
        """Return changes in transactions of their own."""
        return Senders(self._reading, self._writing, turns)

    def spooling(self, turns: Turns = IMMEDIATE) -> Spooling:
        """Return notes in transactions of their own."""
        return Spooling(self._reading, self._writing, turns)

    def audit(self, seconds: float | None = None) -> PostgresAudit:
        """Return questions in such a transaction."""
        return PostgresAudit(self._reading.engine, seconds)

    def migrations(self) -> Migrations:
        """Return the database's schema; whoever changes it takes a lock."""
        return Migrations(engine_of(self._place, writes=True), self.name, postgres_error)

    def space(self) -> Space:
        """Ask for the size of the database; a server does not tell how much room is left."""
        try:
            with self.audit(_SPACE_SECONDS) as audit:
                return Space(database=audit.size())
        except StorageError:
            return Space()

    def close(self) -> None:
        """Close both pools."""
        self._reading.close()
        self._writing.close()
