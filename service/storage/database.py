"""Owns the choice of an engine: everything that can be done with the database behind a URL, whichever it is."""

from typing import Protocol, assert_never

from service.storage.admission import Bounds
from service.storage.audit import Audit
from service.storage.corrections import Corrections
from service.storage.deletions.clock import clock_of
from service.storage.deletions.deleting import Deletions
from service.storage.erasure import Clock, Erasure
from service.storage.imports import Imports
from service.storage.ledger import DEADLINE_SECONDS, Ledger
from service.storage.location import PostgresServer, SqliteFile, location_of
from service.storage.migrations import Migrations
from service.storage.reads.conversions import Conversions
from service.storage.reads.history import History
from service.storage.reads.quarantine import Quarantine
from service.storage.reads.search import STRETCH_ROWS, Search
from service.storage.replays import Replays
from service.storage.senders import Senders
from service.storage.spooling import Spooling
from service.storage.sqlite.database import SqliteDatabase
from service.storage.turns import IMMEDIATE, Turns
from service.telemetry.metrics.counts import Space


class Database(Protocol):
    """A database: one pool of connections that read, and one of those that write beside the ledger's own.

    Nothing connects before it is needed. What the methods return may be used by any thread, each call for itself, until
    `close`. `name` is for people, and holds no password. What writes takes `turns`: those of this process's writer; a
    command commits nothing meanwhile, and needs none.
    """

    name: str
    shared: bool  # whether other processes write to it at the same time, and may migrate it

    def ledger(self, seconds: float = DEADLINE_SECONDS, bounds: Bounds | None = None) -> Ledger:
        """Return the writing side, for one thread; a commit repeated on a server ends within so many seconds.

        `bounds` are those of what is rejected; without them all of it is kept.
        """

    def history(self) -> History:
        """Return the reads of what became of a click id. Raises StorageError when there is nothing to read."""

    def quarantine(self) -> Quarantine:
        """Return the reads of what was not accepted. Raises StorageError when there is nothing to read."""

    def conversions(self) -> Conversions:
        """Return the walk through what is stored. Raises StorageError when there is nothing to read."""

    def search(self, stretch_rows: int = STRETCH_ROWS) -> Search:
        """Return the search for what names a text, which reads so many rows at a time.

        Raises StorageError when there is nothing to read.
        """

    def replays(self, turns: Turns = IMMEDIATE) -> Replays:
        """Return the book of replays, to be written while this process's own ledger is open."""

    def corrections(self, turns: Turns = IMMEDIATE) -> Corrections:
        """Return what corrects conversions, while this process's own ledger is open; looking alone needs none.

        Raises StorageError when there is nothing to read.
        """

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
            from service.storage.postgres.database import PostgresDatabase  # noqa: PLC0415 - psycopg is 6 MB

            return PostgresDatabase(place)
        case _:
            assert_never(place)
