"""Owns what can be done with a database that is a SQLite file, and the connections for it."""

from functools import partial

from sqlalchemy.exc import DBAPIError

from service.core.unavailable import StorageError
from service.storage.admission import Bounds
from service.storage.corrections import Corrections
from service.storage.deletions.clock import clock_of
from service.storage.deletions.deleting import Deletions
from service.storage.erasure import Clock, Erasure
from service.storage.imports import Imports
from service.storage.ledger import DEADLINE_SECONDS, Ledger
from service.storage.location import SqliteFile
from service.storage.migrations import Migrations
from service.storage.pool import Pool
from service.storage.reads.conversions import Conversions
from service.storage.reads.history import History
from service.storage.reads.quarantine import Quarantine
from service.storage.reads.search import STRETCH_ROWS, Search
from service.storage.replays import Replays
from service.storage.senders import Senders
from service.storage.spooling import Spooling
from service.storage.sqlite.audit import SqliteAudit
from service.storage.sqlite.file import assert_there, patient, reader_engine, rewrite, second_engine, storage_error
from service.storage.sqlite.ledger import SqliteLedger, migrations_of
from service.storage.sqlite.space import measure_space
from service.storage.turns import IMMEDIATE, Turns
from service.telemetry.metrics.counts import Space

_PATIENT_SECONDS = 5.0  # a command waits that long for SQLite's lock beside the postbacks
_BUSY_SECONDS = 0.5  # what is done at a turn among them, that long


class SqliteDatabase:
    """A SQLite file; its one writer migrates it when it is opened."""

    shared = False

    def __init__(self, place: SqliteFile) -> None:
        self.path = place.path
        self.name = str(place.path)
        self._reading = Pool(reader_engine(self.path), self._told)
        self._writing = Pool(second_engine(self.path), self._told)

    def ledger(self, seconds: float = DEADLINE_SECONDS, bounds: Bounds | None = None) -> Ledger:  # noqa: ARG002 - nothing is repeated on a file
        """Return the file's one writer; it migrates when it is opened."""
        return SqliteLedger(self.path, self.close, bounds)

    def history(self) -> History:
        """Return reads on connections that can neither write nor checkpoint."""
        return History(self._reads())

    def quarantine(self) -> Quarantine:
        """Return reads on such connections."""
        return Quarantine(self._reads())

    def conversions(self) -> Conversions:
        """Return reads on such connections."""
        return Conversions(self._reads())

    def search(self, stretch_rows: int = STRETCH_ROWS) -> Search:
        """Return reads on such connections."""
        return Search(self._reads(), stretch_rows)

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return writes on connections that never checkpoint, beside the ledger's of this process."""
        return Replays(self._writes(turns), turns)

    def corrections(self, turns: Turns = IMMEDIATE) -> Corrections:
        """Return writes on such connections, and reads on those that can do nothing else."""
        return Corrections(self._reads(), self._writes(turns), turns)

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
