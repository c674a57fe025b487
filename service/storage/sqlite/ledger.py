"""Owns the writing of postbacks to a SQLite file: one batch, one fsync, durable when it returns.

The driver executes the statements on its own connection, and not SQLAlchemy, which compiled them: this is the hot path.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import STORED, Change, Entry, Winner, disputed, judge, with_history
from service.storage.ledger import (
    Committed,
    Leftovers,
    conversion_row,
    leftovers,
)
from service.storage.migrations import Migrations
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, REJECTED
from service.storage.sqlite.file import (
    FileLock,
    connect_writer,
    create_private_directory,
    identities,
    migrating_engine,
    storage_error,
    sync_directory,
    transaction,
)
from service.storage.sqlite.statements import in_statements, insert, statements

_PROBE_ID = 1  # of the one row: a file has one writer


class SqliteLedger:
    """The writing side of a SQLite file; `commit` blocks until the disk has the batch.

    `before_close` closes what else this process has open of the file.
    """

    def __init__(self, path: Path, before_close: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._before_close = before_close
        self._statements = statements()
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
            rows = [conversion_row(postback, utc_text) for postback in postbacks]
            inserted = insert(self._connection, self._statements.conversion, rows)
            written[CONVERSION.name] = inserted
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
        self._before_close()
        self._connection.close()
        self._lock.close()

    def _winners(self, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
        """Return what is stored now under each postback's key: its own row, or the one that came first."""
        winners: dict[ConversionKey, Winner] = {}
        for some in in_statements([postback.key for postback in postbacks]):
            for row in self._connection.execute(
                self._statements.winners.for_rows(len(some)), [*chain.from_iterable(some)]
            ):
                winners[row[0], bool(row[1]), row[2], row[3], row[4]] = Winner(*row[5:])
        for some in in_statements(disputed(postbacks, winners)):
            rows = self._connection.execute(self._statements.changes.for_rows(len(some)), [*chain.from_iterable(some)])
            with_history(winners, (((row[0], bool(row[1]), *row[2:5]), Change(*row[5:])) for row in rows))
        return winners

    def _keep(self, left: Leftovers) -> dict[str, int]:
        statements = self._statements
        with transaction(self._connection):
            written = {
                CHANGE.name: insert(self._connection, statements.change, left.changes),
                DUPLICATE.name: insert(self._connection, statements.duplicate, left.duplicates),
                REJECTED.name: insert(self._connection, statements.rejected, left.rejected),
            }
            if left.probed_at:
                self._connection.execute(statements.probe, (_PROBE_ID, left.probed_at))
        return written


def migrations_of(path: Path) -> Migrations:
    """Return the schema of a file; whoever changes it must be the only one."""
    return Migrations(migrating_engine(path), str(path), storage_error)


@lru_cache(maxsize=16)  # the rows of a batch came at one moment
def utc_text(moment: datetime) -> str:
    """Format as the declared column type does, without its cost; `moment` is in UTC."""
    return moment.isoformat(" ", "microseconds")[:26]
