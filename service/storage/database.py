"""Owns the choice of an engine, and its connections: everything that can be done with the database behind a URL."""

from functools import partial
from typing import Protocol, assert_never

from sqlalchemy.exc import DBAPIError

from service.core.unavailable import StorageError
from service.storage.audit import Audit
from service.storage.deletions.clock import clock_of
from service.storage.deletions.deleting import Deletions
from service.storage.erasure import Clock, Erasure
from service.storage.imports import Imports
from service.storage.ledger import Ledger
from service.storage.location import PostgresServer, SqliteFile, location_of
from service.storage.migrations import Migrations
from service.storage.pool import Pool
from service.storage.postgres.audit import PostgresAudit
from service.storage.postgres.ledger import DEADLINE_SECONDS, PostgresLedger
from service.storage.postgres.server import engine_of, pooled_engine, postgres_error
from service.storage.reads.conversions import Conversions
from service.storage.reads.history import History
from service.storage.reads.quarantine import Quarantine
from service.storage.replays import Replays
from service.storage.senders import Senders
from service.storage.spooling import Spooling
from service.storage.sqlite.audit import SqliteAudit
from service.storage.sqlite.file import assert_there, patient, reader_engine, rewrite, second_engine, storage_error
from service.storage.sqlite.ledger import SqliteLedger, migrations_of
from service.storage.sqlite.space import measure_space
from service.storage.turns import IMMEDIATE, Turns
from service.telemetry.metrics.counts import Space

_SPACE_SECONDS = 2.0
_PATIENT_SECONDS = 5.0  # a command waits that long for SQLite's lock beside the postbacks
_BUSY_SECONDS = 0.5  # what is done at a turn among them, that long


class Database(Protocol):
    """A database: one pool of connections that read, and one of those that write beside the ledger's own.

    Nothing connects before it is needed. What the methods return may be used by any thread, each call for itself, until
    `close`. `name` is for people, and holds no password. What writes takes `turns`: those of this process's writer; a
    command commits nothing meanwhile, and needs none.
    """

    name: str
    shared: bool  # whether other processes write to it at the same time, and may migrate it

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:
        """Return the writing side, for one thread; a commit repeated on a server ends within so many seconds."""

    def history(self) -> History:
        """Return the reads of what became of a click id. Raises StorageError when there is nothing to read."""

    def quarantine(self) -> Quarantine:
        """Return the reads of what was not accepted. Raises StorageError when there is nothing to read."""

    def conversions(self) -> Conversions:
        """Return the walk through what is stored. Raises StorageError when there is nothing to read."""

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return the book of replays, to be written while this process's own ledger is open."""

    def imports(self, turns: Turns = IMMEDIATE) -> Imports:
        """Return the book of imports, to be read at any time, and written while this process's own ledger is open.

        Raises StorageError when there is nothing to read.
        """

    def deletions(self, turns: Turns = IMMEDIATE) -> Deletions:
        """Return what deletes, while this process's own ledger is open.

        Raises StorageError when there is nothing to delete from.
        """

    def erasure(self, turns: Turns = IMMEDIATE, clock: Clock = clock_of) -> Erasure:
        """Return what erases a click id, while this process's own ledger is open; looking alone needs none.

        Raises StorageError when there is nothing to look in.
        """

    def senders(self, turns: Turns = IMMEDIATE) -> Senders:
        """Return who is registered, to be read at any time, and changed beside an open ledger, whosever that is.

        Raises StorageError when there is nothing to read.
        """

    def spooling(self, turns: Turns = IMMEDIATE) -> Spooling:
        """Return what a spool asks and notes. Raises StorageError when there is nothing to ask."""

    def audit(self, seconds: float | None = None) -> Audit:
        """Return the questions that `doctor` asks, each answered within so many seconds."""

    def migrations(self) -> Migrations:
        """Return the schema's history, on connections of its own: migrating changes their settings."""

    def space(self) -> Space:
        """Measure the room it takes and what is left; 0 is unknown. May block."""

    def close(self) -> None:
        """Close both pools. On SQLite the ledger does so before it closes: the last connection has to be its own."""


def database_at(url: str) -> Database:
    """Return the database behind a URL. Raises ValueError for a URL that we cannot serve."""
    match place := location_of(url):
        case SqliteFile():
            return SqliteDatabase(place)
        case PostgresServer():
            return PostgresDatabase(place)
        case _:
            assert_never(place)


class SqliteDatabase:
    """A SQLite file; its one writer migrates it when it is opened."""

    shared = False

    def __init__(self, place: SqliteFile) -> None:
        self.path = place.path
        self.name = str(place.path)
        self._reading = Pool(reader_engine(self.path), self._told)
        self._writing = Pool(second_engine(self.path), self._told)

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:  # noqa: ARG002 - nothing is repeated on a file
        """Return the file's one writer; it migrates when it is opened."""
        return SqliteLedger(self.path, self.close)

    def history(self) -> History:
        """Return reads on connections that can neither write nor checkpoint."""
        return History(self._reads())

    def quarantine(self) -> Quarantine:
        """Return reads on such connections."""
        return Quarantine(self._reads())

    def conversions(self) -> Conversions:
        """Return reads on such connections."""
        return Conversions(self._reads())

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return writes on connections that never checkpoint, beside the ledger's of this process."""
        return Replays(self._writes(turns), turns)

    def imports(self, turns: Turns = IMMEDIATE) -> Imports:
        """Return writes on such connections, and reads on those that can do nothing else."""
        return Imports(self._reads(), self._writes(turns), turns)

    def deletions(self, turns: Turns = IMMEDIATE) -> Deletions:
        """Return what deletes on such a connection, in its turn: nobody waits for a lock then."""
        return Deletions(self._reads(), self._writes(turns), turns)

    def erasure(self, turns: Turns = IMMEDIATE, clock: Clock = clock_of) -> Erasure:
        """Return what erases, and then writes the whole file anew."""
        return Erasure(self._reads(), self._writes(turns), partial(rewrite, self.path), turns, clock)

    def senders(self, turns: Turns = IMMEDIATE) -> Senders:
        """Return changes on such a connection: beside the serving process it is never the last one to close."""
        return Senders(self._reads(), self._writes(turns), turns)

    def spooling(self, turns: Turns = IMMEDIATE) -> Spooling:
        """Return notes in such a connection's turn."""
        return Spooling(self._reads(), self._writes(turns), turns)

    def audit(self, seconds: float | None = None) -> SqliteAudit:
        """Return questions on a connection of its own, which can be interrupted."""
        return SqliteAudit(self.path, seconds)

    def migrations(self) -> Migrations:
        """Return the file's schema; whoever changes it must be the only one."""
        return migrations_of(self.path)

    def space(self) -> Space:
        """Measure the file, its write-ahead log and their file system."""
        return measure_space(self.path)

    def close(self) -> None:
        """Close both pools."""
        self._reading.close()
        self._writing.close()

    def _reads(self) -> Pool:
        assert_there(self.path)
        return self._reading

    def _told(self, error: DBAPIError) -> StorageError:
        """Classify an error, and say of which file."""
        told = storage_error(error)
        return type(told)(f"{self.path.absolute()}: {told}", told.kind)

    def _writes(self, turns: Turns) -> Pool:
        """Return the pool for writes; at a turn postbacks wait, so that it gives up soon if the file is locked."""
        return self._writing.after(patient(_PATIENT_SECONDS if turns is IMMEDIATE else _BUSY_SECONDS))


class PostgresDatabase:
    """A database on a PostgreSQL server."""

    shared = True

    def __init__(self, place: PostgresServer) -> None:
        self._place = place
        self.name = place.name
        self._reading = Pool(pooled_engine(place), postgres_error)
        self._writing = Pool(pooled_engine(place, writes=True), postgres_error)

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:
        """Return this process's writer; other processes have theirs."""
        return PostgresLedger(self._place, self.migrations(), seconds=seconds)

    def history(self) -> History:
        """Return reads in read-only transactions."""
        return History(self._reading)

    def quarantine(self) -> Quarantine:
        """Return reads in read-only transactions."""
        return Quarantine(self._reading)

    def conversions(self) -> Conversions:
        """Return reads in read-only transactions."""
        return Conversions(self._reading)

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return writes in transactions of their own."""
        return Replays(self._writing, turns)

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
