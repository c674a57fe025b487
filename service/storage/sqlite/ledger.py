"""Owns every statement that writes postbacks to a SQLite file: one batch, one fsync, durable when it returns.

On the driver's own connection and not through SQLAlchemy: this is the hot path, and it has four statements.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import STORED, Change, Entry, Winner, disputed, judge, with_history
from service.storage.ledger import (
    CHANGE,
    CONVERSION,
    DUPLICATE,
    KEY,
    REJECTED,
    Committed,
    Leftovers,
    Row,
    Table,
    conversion_row,
    leftovers,
)
from service.storage.migrations import Migrations
from service.storage.sqlite.file import (
    FileLock,
    connect_writer,
    create_private_directory,
    identities,
    in_statements,
    insert,
    migrating_engine,
    storage_error,
    sync_directory,
    transaction,
)

_PROBE = Table("write_probe", ("id", "probed_at"))


class SqliteLedger:
    """The writing side of a SQLite file; `commit` blocks until the disk has the batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = (str(path), f"{path}-wal")

    def open(self) -> None:
        """Lock, migrate and connect. Raises StorageError if the file cannot be made durable or is being served."""
        try:
            create_private_directory(self._path.parent)
            self._lock = FileLock(self._path)
        except OSError as error:
            raise StorageError(f"cannot open {self._path}: {error.strerror}", ErrorKind.CANTOPEN) from error
        try:
            migrations_of(self._path).up()
            self._connection = connect_writer(self._path)
            with transaction(self._connection):
                pass  # from here on there is a WAL
        except StorageError:
            self._lock.close()
            raise
        except (sqlite3.Error, DBAPIError) as error:
            self._lock.close()
            raise storage_error(error) from error
        sync_directory(self._path)
        self._files = identities(self._names)

    def commit(self, entries: Sequence[Entry]) -> Committed:
        """Commit as Ledger says."""
        written: dict[str, int] = {}
        try:
            postbacks = [entry for entry in entries if type(entry) is Postback]
            inserted = self._insert(CONVERSION, [conversion_row(postback, utc_text) for postback in postbacks])
            written["conversion"] = inserted
            if inserted == len(entries):
                verdicts = [STORED] * inserted
            else:
                winners = None if inserted == len(postbacks) else self._winners(postbacks)
                verdicts = [judge(entry, winners) for entry in entries]
                written |= self._keep(leftovers(entries, verdicts, winners, utc_text))
        except sqlite3.Error as error:
            raise storage_error(error, written) from error
        if identities(self._names) != self._files:
            raise StorageBroken(
                f"{self._path} or its WAL was moved or deleted while it was being written", ErrorKind.MOVED
            )
        return Committed(verdicts, written)

    def close(self) -> None:
        """Checkpoint by closing the last connection, and let another process write."""
        self._connection.close()
        self._lock.close()

    def _insert(self, table: Table, rows: Sequence[Row], clash: str = "DO NOTHING") -> int:
        return insert(self._connection, table.name, table.columns, rows, clash)

    def _winners(self, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
        """Return what is stored now under each postback's key: its own row, or the one that came first."""
        winners: dict[ConversionKey, Winner] = {}
        for some in in_statements([postback.key for postback in postbacks]):
            for row in self._connection.execute(winners_statement(len(some)), [*chain.from_iterable(some)]):
                winners[row[0], bool(row[1]), row[2], row[3], row[4]] = Winner(*row[5:])
        for some in in_statements(disputed(postbacks, winners)):
            rows = self._connection.execute(changes_statement(len(some)), [*chain.from_iterable(some)]).fetchall()
            with_history(winners, (((row[0], bool(row[1]), *row[2:5]), Change(*row[5:])) for row in rows))
        return winners

    def _keep(self, left: Leftovers) -> dict[str, int]:
        with transaction(self._connection):
            written = {
                CHANGE.name: self._insert(CHANGE, left.changes),
                DUPLICATE.name: self._insert(DUPLICATE, left.duplicates),
                REJECTED.name: self._insert(REJECTED, left.rejected),
            }
            if left.probed_at:
                self._insert(_PROBE, [(1, left.probed_at)], "(id) DO UPDATE SET probed_at = excluded.probed_at")
        return written


def migrations_of(path: Path) -> Migrations:
    """Return the schema of a file; whoever changes it must be the only one."""
    return Migrations(migrating_engine(path), str(path), storage_error)


@cache
def winners_statement(keys: int) -> str:
    """Return the query for the rows under `keys` keys, each a jump in the primary key."""
    return _statement(keys, CONVERSION, Winner._fields[:-1])


@cache
def changes_statement(keys: int) -> str:
    """Return the query for the changes under `keys` keys, in their order."""
    return f"{_statement(keys, CHANGE, Change._fields)} ORDER BY number"


def _statement(keys: int, table: Table, columns: Sequence[str]) -> str:
    key, row = ", ".join(KEY), f"({', '.join('?' * len(KEY))})"
    return (  # a join, because SQLite scans the whole table for `(…) IN (VALUES …)`
        f"WITH wanted ({key}) AS (VALUES {', '.join([row] * keys)}) "  # noqa: S608 - our own names
        f"SELECT {key}, {', '.join(columns)} FROM wanted CROSS JOIN {table.name} USING ({key})"
    )


@lru_cache(maxsize=16)  # the rows of a batch came at one moment
def utc_text(moment: datetime) -> str:
    """Format as the declared column type does, without its cost; `moment` is in UTC."""
    return moment.isoformat(" ", "microseconds")[:26]
