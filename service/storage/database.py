"""Owns the choice of an engine: everything that can be done with the database behind a URL, and nothing of how."""

from functools import partial
from typing import Protocol, assert_never

from service.core.unavailable import StorageError
from service.storage.audit import Audit
from service.storage.deletions import Between, Deletions, at_once
from service.storage.erasure import Erasure
from service.storage.ledger import Ledger
from service.storage.location import PostgresServer, SqliteFile, location_of
from service.storage.migrations import Migrations
from service.storage.pool import Access
from service.storage.postgres.audit import PostgresAudit
from service.storage.postgres.ledger import DEADLINE_SECONDS, PostgresLedger
from service.storage.postgres.server import engine_of, postgres_error
from service.storage.reads.conversions import Conversions
from service.storage.reads.history import History
from service.storage.reads.quarantine import Quarantine
from service.storage.replays import Replays
from service.storage.senders import Senders, Turn
from service.storage.sqlite.audit import SqliteAudit
from service.storage.sqlite.file import reader_engine, rewrite, second_engine, storage_error
from service.storage.sqlite.ledger import SqliteLedger, migrations_of
from service.storage.sqlite.space import measure_space
from service.telemetry.metrics.counts import Space

_SPACE_SECONDS = 2.0
_PATIENT_SECONDS = 5.0  # a command waits that long for its turn beside the postbacks


class Database(Protocol):
    """A database, not connected: each of these opens what it needs. `name` is for people, and holds no password."""

    name: str
    shared: bool  # whether other processes write to it at the same time, and may migrate it

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:
        """Return the writing side, for one thread; a commit repeated on a server ends within so many seconds."""

    def history(self) -> History:
        """Return the reading side. Raises StorageError when there is nothing to read."""

    def quarantine(self) -> Quarantine:
        """Return the reads of what was not accepted. Raises StorageError when there is nothing to read."""

    def conversions(self) -> Conversions:
        """Return the walk through what is stored. Raises StorageError when there is nothing to read."""

    def replays(self) -> Replays:
        """Return the book of replays, to be written while this process's own ledger is open."""

    def deletions(self, between: Between = at_once) -> Deletions:
        """Return what deletes, while this process's own ledger is open; `between` gives it turns among the commits.

        Raises StorageError when there is nothing to delete from.
        """

    def erasure(self) -> Erasure:
        """Return what erases a click id, while this process's own ledger is open; looking alone needs none.

        Raises StorageError when there is nothing to look in.
        """

    def senders(self, between: Turn | None = None) -> Senders:
        """Return who is registered, to be read at any time, and changed beside an open ledger, whosever that is.

        `between` gives changes their turns among this process's own commits. Raises StorageError when there is
        nothing to read.
        """

    def audit(self, seconds: float | None = None) -> Audit:
        """Return the questions that `doctor` asks, each answered within so many seconds."""

    def migrations(self) -> Migrations:
        """Return the schema's history."""

    def space(self) -> Space:
        """Measure the room it takes and what is left; 0 is unknown. May block."""


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

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:  # noqa: ARG002 - nothing is repeated on a file
        """Return the file's one writer; it migrates when it is opened."""
        return SqliteLedger(self.path)

    def history(self) -> History:
        """Return reads on connections that can neither write nor checkpoint."""
        return History(Access(reader_engine(self.path), storage_error))

    def quarantine(self) -> Quarantine:
        """Return reads on such connections."""
        return Quarantine(Access(reader_engine(self.path), storage_error))

    def conversions(self) -> Conversions:
        """Return reads on such connections."""
        return Conversions(Access(reader_engine(self.path), storage_error))

    def replays(self) -> Replays:
        """Return writes on connections that never checkpoint, beside the ledger's of this process."""
        return Replays(Access(second_engine(self.path), storage_error))

    def deletions(self, between: Between = at_once) -> Deletions:
        """Return what deletes on such a connection, in its turn: nobody waits for a lock then."""
        reads = Access(reader_engine(self.path), storage_error)
        return Deletions(reads, Access(second_engine(self.path), storage_error), between)

    def erasure(self) -> Erasure:
        """Return what erases, and then writes the whole file anew."""
        reads = Access(reader_engine(self.path), storage_error)
        return Erasure(reads, Access(second_engine(self.path), storage_error), partial(rewrite, self.path))

    def senders(self, between: Turn | None = None) -> Senders:
        """Return changes on such a connection: beside the serving process it is never the last one to close."""
        reads = Access(reader_engine(self.path), storage_error)
        if between:
            return Senders(reads, Access(second_engine(self.path), storage_error), between)
        return Senders(reads, Access(second_engine(self.path, _PATIENT_SECONDS), storage_error))

    def audit(self, seconds: float | None = None) -> SqliteAudit:
        """Return questions on such a connection."""
        return SqliteAudit(self.path, seconds)

    def migrations(self) -> Migrations:
        """Return the file's schema; whoever changes it must be the only one."""
        return migrations_of(self.path)

    def space(self) -> Space:
        """Measure the file, its write-ahead log and their file system."""
        return measure_space(self.path)


class PostgresDatabase:
    """A database on a PostgreSQL server."""

    shared = True

    def __init__(self, place: PostgresServer) -> None:
        self._place = place
        self.name = place.name

    def ledger(self, seconds: float = DEADLINE_SECONDS) -> Ledger:
        """Return this process's writer; other processes have theirs."""
        return PostgresLedger(self._place, self.migrations(), seconds=seconds)

    def history(self) -> History:
        """Return reads in read-only transactions."""
        return History(Access(engine_of(self._place), postgres_error))

    def quarantine(self) -> Quarantine:
        """Return reads in read-only transactions."""
        return Quarantine(Access(engine_of(self._place), postgres_error))

    def conversions(self) -> Conversions:
        """Return reads in read-only transactions."""
        return Conversions(Access(engine_of(self._place), postgres_error))

    def replays(self) -> Replays:
        """Return writes in transactions of their own."""
        return Replays(Access(engine_of(self._place, writes=True), postgres_error))

    def deletions(self, between: Between = at_once) -> Deletions:  # noqa: ARG002 - it waits for no commit
        """Return what deletes, on connections of its own beside the ledger's."""
        reads = Access(engine_of(self._place), postgres_error)
        return Deletions(reads, Access(engine_of(self._place, writes=True), postgres_error), at_once)

    def erasure(self) -> Erasure:
        """Return what erases; the server's own VACUUM overwrites, in its time."""
        reads = Access(engine_of(self._place), postgres_error)
        return Erasure(reads, Access(engine_of(self._place, writes=True), postgres_error), lambda: None)

    def senders(self, between: Turn | None = None) -> Senders:  # noqa: ARG002 - it waits for no commit
        """Return changes in transactions of their own."""
        reads = Access(engine_of(self._place), postgres_error)
        return Senders(reads, Access(engine_of(self._place, writes=True), postgres_error))

    def audit(self, seconds: float | None = None) -> PostgresAudit:
        """Return questions in such a transaction."""
        return PostgresAudit(self._place, seconds)

    def migrations(self) -> Migrations:
        """Return the database's schema; whoever changes it takes a lock."""
        return Migrations(engine_of(self._place, writes=True), self.name, postgres_error)

    def space(self) -> Space:
        """Ask for the size of the database; a server does not tell how much room is left."""
        try:
            with PostgresAudit(self._place, _SPACE_SECONDS) as audit:
                return Space(database=audit.size())
        except StorageError:
            return Space()
