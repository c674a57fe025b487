"""Owns every statement that writes postbacks: one batch in, one verdict for each entry out, durable when it returns.

On the driver's own connection and not through SQLAlchemy: this is the hot path, and it has four statements.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple, assert_never

import orjson
from sqlalchemy.exc import DBAPIError

from service.outcome import Outcome
from service.postback import Key, Postback, Rejection
from service.storage.engine import (
    FileLock,
    StorageBroken,
    StorageError,
    connect_writer,
    storage_error,
    sync_directory,
)
from service.storage.migrations import migrate

MAX_BATCH = 256  # entries; 256 rows of 12 columns stay far below SQLite's 32,766 parameters

Scalar = str | int | bytes | None
Row = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """An entry that stores nothing but proves that a commit works."""

    at: datetime


Entry = Postback | Rejection | Probe


class Verdict(NamedTuple):
    """What storage did with one entry; `detail` says why it is not simply stored."""

    outcome: Outcome
    detail: str = ""


class Committed(NamedTuple):
    """A batch that is durable: its verdicts in the order of its entries, and the rows inserted in each table."""

    verdicts: list[Verdict]
    rows: dict[str, int]


class Ledger:
    """The writing side of a SQLite file. Used by one thread; `commit` blocks until the disk has the batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = (str(path), f"{path}-wal")

    def open(self) -> None:
        """Lock, migrate and connect. Raises StorageError if the file cannot be made durable or is being served."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._path)
        except OSError as error:
            raise StorageError(f"cannot open {self._path}: {error.strerror}", "CANTOPEN") from error
        try:
            migrate(self._path)
            self._connection = connect_writer(self._path)
            with self._transaction():
                pass  # from here on there is a WAL
        except StorageError:
            self._lock.close()
            raise
        except (sqlite3.Error, DBAPIError) as error:
            self._lock.close()
            raise storage_error(error) from error
        sync_directory(self._path)
        self._files = self._identities()

    def commit(self, entries: Sequence[Entry]) -> Committed:
        """Store up to MAX_BATCH entries and return their verdicts, in order, once they are durable.

        New conversions go in first, with a statement that is a transaction of its own: one fsync, and the only work in
        the usual case. What is left (retries, conflicts, rejections, probes) follows in a second transaction. Raises
        StorageError: then nothing may be acknowledged; its `rows` are durable for sure, others may be.
        """
        written: dict[str, int] = {}
        try:
            postbacks = [entry for entry in entries if type(entry) is Postback]
            inserted = self._insert(*_CONVERSION, [_conversion_row(postback) for postback in postbacks])
            written["conversion"] = inserted
            if inserted == len(entries):
                verdicts = [_STORED] * inserted
            else:
                winners = {} if inserted == len(postbacks) else self._winners(postbacks)
                verdicts = [_judge(entry, winners) for entry in entries]
                written |= self._keep(entries, verdicts)
        except sqlite3.Error as error:
            raise storage_error(error, written) from error
        if self._identities() != self._files:
            raise StorageBroken(f"{self._path} or its WAL was moved or deleted while it was being written", "MOVED")
        return Committed(verdicts, written)

    def close(self) -> None:
        """Checkpoint by closing the last connection, and let another process write."""
        self._connection.close()
        self._lock.close()

    def _identities(self) -> list[tuple[int, int]]:
        """Say which files are at our names: SQLite goes on writing to a deleted one, and 200 would be no receipt."""
        try:
            return [(stat.st_dev, stat.st_ino) for stat in map(os.stat, self._names)]
        except FileNotFoundError:
            return []

    def _insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row], clash: str = "DO NOTHING") -> int:
        if not rows:
            return 0
        statement = _insert_statement(table, columns, len(rows), clash)
        return self._connection.execute(statement, tuple(chain.from_iterable(rows))).rowcount

    def _winners(self, postbacks: Sequence[Postback]) -> "dict[Key, Winner]":
        """Return what is stored now under each postback's key: its own row, or the one that came first."""
        statement = winners_statement(len(postbacks))
        keys = tuple(chain.from_iterable(postback.key for postback in postbacks))
        rows = self._connection.execute(statement, keys)
        return {(row[0], bool(row[1]), row[2], row[3], row[4]): Winner(*row[5:]) for row in rows}

    def _keep(self, entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> dict[str, int]:
        duplicates: list[Row] = []
        rejected: list[Row] = []
        probes: list[Row] = []
        for entry, verdict in zip(entries, verdicts, strict=True):
            if isinstance(entry, Probe):
                probes = [(1, _utc(entry.at))]
            elif verdict.outcome.kept:
                rejected.append(_rejected_row(entry, verdict))
            elif verdict is _REPEATED and isinstance(entry, Postback):
                duplicates.append(_duplicate_row(entry))
        with self._transaction():
            written = {
                "duplicate": self._insert(*_DUPLICATE, duplicates),
                "rejected_postback": self._insert(*_REJECTED, rejected),
            }
            self._insert(*_PROBE, probes, "(id) DO UPDATE SET probed_at = excluded.probed_at")
        return written

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself already
                self._connection.execute("ROLLBACK")
            raise


class Winner(NamedTuple):
    """The stored row that holds a key."""

    request_id: str
    value: str
    value_micros: int
    currency: str | None


_STORED = Verdict(Outcome.STORED)
_REPEATED = Verdict(Outcome.DUPLICATE)


def _judge(entry: Entry, winners: "dict[Key, Winner]") -> Verdict:
    match entry:
        case Postback():
            winner = winners.get(entry.key)
            if winner is None or winner.request_id == entry.raw.request_id:
                return _STORED
            return judge_against(winner, entry)
        case Rejection():
            return Verdict(entry.outcome, entry.detail)
        case Probe():
            return _STORED
        case _:
            assert_never(entry)


def judge_against(winner: Winner, postback: Postback) -> Verdict:
    """Return what a postback is whose key is stored already: the first value stands (law 3)."""
    if (winner.value_micros, winner.currency) == (postback.value_micros, postback.currency):
        return _REPEATED
    return Verdict(Outcome.CONFLICT, f"stored {_amount(winner)}, received {_amount(postback)}")


def _amount(holder: "Winner | Postback") -> str:
    return f"{holder.value} {holder.currency or '(no currency)'}"


_KEY = ("sender", "is_test", "click_id", "goal", "transaction_id")
_CONVERSION = (
    "conversion",
    (*_KEY, "value", "value_micros", "currency", "params", "received_at", "request_id", "door"),
)
_DUPLICATE = ("duplicate", (*_KEY, "received_at", "request_id", "door"))
_REJECTED = (
    "rejected_postback",
    ("received_at", "door", "sender", "outcome", "detail", "click_id", "raw", "request_id"),
)
_PROBE = ("write_probe", ("id", "probed_at"))


@cache
def _insert_statement(table: str, columns: tuple[str, ...], rows: int, clash: str) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} ON CONFLICT {clash}"  # noqa: S608 - our own names


@cache
def winners_statement(keys: int) -> str:
    """Return the query for the rows under `keys` keys, each a jump in the primary key."""
    key, row = ", ".join(_KEY), f"({', '.join('?' * len(_KEY))})"
    return (  # a join, because SQLite scans the whole table for `(…) IN (VALUES …)`
        f"WITH wanted ({key}) AS (VALUES {', '.join([row] * keys)}) "  # noqa: S608 - our own names
        f"SELECT {key}, request_id, value, value_micros, currency FROM wanted CROSS JOIN conversion USING ({key})"
    )


def _conversion_row(postback: Postback) -> Row:
    raw = postback.raw
    return (
        *postback[1:9],
        orjson.dumps(postback.params).decode() if postback.params else "{}",
        _utc(raw.received_at),
        raw.request_id,
        raw.door,
    )


def _duplicate_row(postback: Postback) -> Row:
    return (*postback.key, _utc(postback.raw.received_at), postback.raw.request_id, postback.raw.door)


def _rejected_row(entry: Postback | Rejection, verdict: Verdict) -> Row:
    raw = entry.raw
    return (
        _utc(raw.received_at),
        raw.door,
        entry.sender,
        verdict.outcome.value,
        verdict.detail,
        entry.click_id,
        raw.as_sent(),
        raw.request_id,
    )


def _utc(moment: datetime) -> str:
    """Format as the declared column type does, without its cost; `moment` is in UTC."""
    return moment.isoformat(" ", "microseconds")[:26]
