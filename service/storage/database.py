"""Owns the choice of an engine: everything that can be done with the database behind a URL, and nothing of how."""

from typing import Protocol, assert_never

from service.metrics.counts import Space
from service.storage.audit import Audit
from service.storage.engine import SqliteFile, place_of
from service.storage.history import History
from service.storage.ledger import Ledger
from service.storage.space import measure_space
from service.storage.sqlite import SqliteLedger
from service.storage.sqlite_file import reader_engine, storage_error


class Database(Protocol):
    """A database, not connected: each of these opens what it needs. `name` is for people, and holds no password."""

    name: str

    def ledger(self) -> Ledger:
        """Return the writing side, to be opened by the one thread that writes."""

    def history(self) -> History:
        """Return the reading side. Raises StorageError when there is nothing to read."""

    def audit(self, seconds: float | None = None) -> Audit:
        """Return the questions that `doctor` asks, each answered within so many seconds."""

    def space(self) -> Space:
        """Measure the room it takes and what is left; 0 is unknown. May block."""


def database_at(url: str) -> Database:
    """Return the database behind a URL. Raises ValueError for a URL that we cannot serve."""
    match place := place_of(url):
        case SqliteFile():
            return SqliteDatabase(place)
        case _:
            assert_never(place)


class SqliteDatabase:
    """A SQLite file."""

    def __init__(self, place: SqliteFile) -> None:
        self.path = place.path
        self.name = str(place.path)

    def ledger(self) -> Ledger:
        """Return the file's one writer; it migrates when it is opened."""
        return SqliteLedger(self.path)

    def history(self) -> History:
        """Return reads on connections that can neither write nor checkpoint."""
        return History(reader_engine(self.path), storage_error)

    def audit(self, seconds: float | None = None) -> Audit:
        """Return questions on such a connection."""
        return Audit(self.path, seconds)

    def space(self) -> Space:
        """Measure the file, its write-ahead log and their file system."""
        return measure_space(self.path)
