"""Owns the writing of postbacks to a SQLite file: one batch, one fsync, durable when it returns.

The driver executes the statements on its own connection, and not SQLAlchemy, which compiled them: this is the hot path.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path

import orjson
from sqlalchemy.exc import DBAPIError

from service.core.judging import Judged, Known, Part, judge_all
from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import STORED, Entry, Verdict, Winner, disputed, with_history
from service.storage.admission import Admission, Bounds, occasion
from service.storage.deletions.book import entries as entries_of_the_book
from service.storage.ledger import Committed, Row, committed, conversion_row, in_doubt, recorded_verdict, rows_of
from service.storage.migrations import Migrations
from service.storage.schema.history import later_row
from service.storage.schema.registry import CONVERSION
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
from service.storage.sqlite.statements import STATEMENT_ROWS, in_statements, insert, statements

_PROBE_ID = 1  # of the one row: a file has one writer


class SqliteLedger:
    """The writing side of a SQLite file; `commit` blocks until the disk has the batch.

    `before_close` closes what else this process has open of the file; `bounds` are those of what is rejected.
    """

    def __init__(
        self, path: Path, before_close: Callable[[], None] = lambda: None, bounds: Bounds | None = None
    ) -> None:
        self._path = path
        self._before_close = before_close
        self._admission = Admission(bounds)
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

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit as Ledger says."""
        postbacks = [entry for entry in entries if type(entry) is Postback]
        rows = [] if parts else [conversion_row(postback, utc_text) for postback in postbacks]
        try:
            done = self._commit_new(rows) if len(rows) == len(entries) <= STATEMENT_ROWS else None
            if done is None:
                with transaction(self._connection):
                    done = self._store(entries, parts, postbacks, rows)
        except sqlite3.Error as error:
            raise storage_error(error) from error
        self._assert_same_files(done)
        return done

    def _commit_new(self, rows: Sequence[Row]) -> Committed | None:
        """Store new conversions by one statement, which needs no BEGIN and no COMMIT; None: not all of them are new."""
        try:
            insert(self._connection, self._statements.new_conversion, rows)
        except sqlite3.IntegrityError:  # nothing is stored
            return None
        return Committed([STORED] * len(rows), {CONVERSION.name: len(rows)})

    def _store(
        self, entries: Sequence[Entry], parts: Sequence[Part], postbacks: Sequence[Postback], rows: Sequence[Row]
    ) -> Committed:
        """Write a batch in the transaction that is open; `rows` are what its postbacks are if all of them are new."""
        doubtful = [entry.raw.request_id for entry in in_doubt(entries, parts)]
        inserted = 0
        if not parts:  # most are new: the table's key says which are not
            inserted = insert(self._connection, self._statements.conversion, rows)
            if inserted == len(entries):
                return Committed([STORED] * inserted, {CONVERSION.name: inserted})
        known = Known(None)
        if parts or inserted < len(postbacks):
            known = Known(self._winners(postbacks), self._recorded(doubtful))
        judged = judge_all(entries, known, parts)
        self._write(judged)
        return committed(entries, judged, judged.found.intersection(doubtful))

    def _assert_same_files(self, done: Committed) -> None:
        """Raise StorageBroken if what is durable is in no file that anybody can find."""
        if identities(self._names) != self._files:
            what = "was moved or deleted, or may not be looked at any more, while it was being written"
            raise StorageBroken(f"{self._path} or its WAL {what}", ErrorKind.MOVED, done.rows)

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
                request_id, value, micros, currency, status, params = row[5:]
                winner = Winner(request_id, value, micros, currency, status, orjson.loads(params))
                winners[row[0], bool(row[1]), row[2], row[3], row[4]] = winner
        for some in in_statements(disputed(postbacks, winners)):
            rows = self._connection.execute(self._statements.history.for_rows(len(some)), [*chain.from_iterable(some)])
            with_history(winners, (((row[0], bool(row[1]), *row[2:5]), later_row(*row[5:])) for row in rows))
        return winners

    def _recorded(self, request_ids: Sequence[str]) -> dict[str, Verdict]:
        """Return the verdicts that are recorded under request ids, but for those with a key."""
        found: dict[str, Verdict] = {}
        for some in in_statements(request_ids):
            for request_id, outcome, detail in self._connection.execute(
                self._statements.recorded.for_rows(len(some)), some
            ):
                found[request_id] = recorded_verdict(outcome, detail)
        return found

    def _write(self, judged: Judged) -> None:
        statements = self._statements
        if judged.kept:
            self._turn_away(judged)
        rows, shared = rows_of(judged, utc_text)
        for one in shared:
            self._connection.execute(statements.share, one)
        insert(self._connection, statements.conversion, rows.conversions)
        insert(self._connection, statements.change, rows.changes)
        insert(self._connection, statements.duplicate, rows.duplicates)
        insert(self._connection, statements.rejected, rows.rejected)
        if judged.probed_at:
            self._connection.execute(statements.probe, (_PROBE_ID, utc_text(judged.probed_at)))

    def _turn_away(self, judged: Judged) -> None:
        """Note in the book what is not kept."""
        if self._admission.must_look(judged):
            self._admission.look(self._connection.execute(self._statements.shares))
        if gone := self._admission.sift(judged):
            statement, names = self._statements.note
            for noted in entries_of_the_book(occasion(datetime.now(UTC)), gone):
                values = (noted[name] for name in names)
                self._connection.execute(
                    statement, [utc_text(one) if isinstance(one, datetime) else one for one in values]
                )


def migrations_of(path: Path) -> Migrations:
    """Return the schema of a file; whoever changes it must be the only one."""
    return Migrations(migrating_engine(path), str(path), storage_error)


@lru_cache(maxsize=16)  # the rows of a batch came at one moment
def utc_text(moment: datetime) -> str:
    """Format as the declared column type does; `moment` is in UTC. isoformat would cost thrice as much."""
    text = orjson.dumps(moment, None, orjson.OPT_UTC_Z).decode()  # "2026-11-29T18:51:28.123456Z"
    return f"{text[1:11]} {text[12:27]}" if moment.microsecond else f"{text[1:11]} {text[12:20]}.000000"
