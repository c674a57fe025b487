"""Owns the journal: a SQLite file where entries wait in the order of their arrival, each fsynced before its receipt.

It has the one method that a writer needs of storage, so a second group commit stands before it. An entry leaves only by
`remove`, after the database's commit. Bounded in bytes: a full journal is a 503, never a false 200.
"""

import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from service.core.judging import Part
from service.core.outcome import Outcome
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry, Probe, Verdict
from service.spool.encoding import VERSION, Kept, encode, outcome_of
from service.storage.ledger import Committed
from service.storage.sqlite.file import (
    FileLock,
    connect_writer,
    create_private_directory,
    identities,
    storage_error,
    sync_directory,
)
from service.storage.sqlite.statements import Repeated, insert

FILE_NAME = "spool.db"
MAX_BYTES = 2**30  # a million postbacks, roughly
RESERVED_BYTES = 8 * 2**20  # of the disk: removing entries takes room as well, or it could never be drained
_COLUMNS = ("version", "outcome", "request_id", "click_id", "received_at", "entry")
_INSERTION = Repeated(  # seq is made here, and is never known
    f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ",  # noqa: S608 - our own names
    f"({', '.join('?' * len(_COLUMNS))})",
    " ON CONFLICT DO NOTHING",
)
_TAKING_OVER_SECONDS = 0.1
_ROW_BYTES = 200  # of columns and B-tree around an entry's text

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL,
    click_id TEXT,
    received_at TEXT NOT NULL,
    entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS write_probe (id INTEGER PRIMARY KEY, probed_at TEXT NOT NULL);
"""


class Waiting(NamedTuple):
    """One row of the journal: its place in the order, and the entry as it is encoded."""

    seq: int
    version: int
    outcome: str
    request_id: str
    text: str


_Row = tuple[int, str, str, str | None, str, str]  # _COLUMNS


class JournalSize(NamedTuple):
    """Bytes taken and bytes that may be taken, and when the oldest entry came (Unix seconds, 0 if there is none)."""

    taken: int = 0
    capacity: int = 0
    oldest_at: float = 0.0


def journal_paths(spool_directory: Path, worker: int) -> tuple[Path, ...]:
    """Return the journals that one worker may take: each process has one of its own, because a file has one writer.

    The second is for who comes while the first is still open: in a rolling restart the old process finishes later.
    """
    return tuple(spool_directory / f"worker-{worker}{turn}" / FILE_NAME for turn in ("", "-next"))


class Journal:
    """One process's journal. Every method blocks and may be called on any thread, once it is open.

    After an I/O error nothing that the file says can be trusted: `broken` is set, and every later call raises it.
    """

    def __init__(self, *paths: Path, max_bytes: int = MAX_BYTES) -> None:
        """Take the first of the paths that no other process has, when it is opened."""
        self._paths = paths
        self.path = paths[0]
        self.size = JournalSize(capacity=max_bytes)
        self.found = 0  # entries that an earlier process left
        self.found_up_to = 0  # the seq of the last of them
        self.broken: StorageBroken | None = None
        self._max_bytes = max_bytes
        self._lock = Lock()

    def open(self) -> None:
        """Lock, create what is not there, and count what was left. Raises StorageError."""
        self.path, self._file_lock = self._free_path()
        self._names = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        try:
            self._connection = connect_writer(self.path)
            self._connection.executescript(_SCHEMA)
            self.found, last = self._connection.execute("SELECT count(*), max(seq) FROM entry").fetchone()
            self.found_up_to = last or 0
            for path in (self.path, self.path.parent):
                sync_directory(path)
        except (sqlite3.Error, StorageError) as error:
            self._file_lock.close()
            raise error if isinstance(error, StorageError) else storage_error(error) from error
        self._files = identities(self._names)
        self.measure()

    def _free_path(self) -> tuple[Path, FileLock]:
        for path in (*self._paths, *self._paths):
            try:
                create_private_directory(path.parent)
                return path, FileLock(path)
            except OSError as error:
                raise StorageError(f"cannot open the spool {path}: {error.strerror}", ErrorKind.CANTOPEN) from error
            except StorageError as error:
                taken = error
                time.sleep(_TAKING_OVER_SECONDS)  # whoever takes over has it for a moment only
        raise taken

    def take_over(self, count: int) -> int:
        """Move up to so many entries here from this worker's other journal, if nobody has it; return how many.

        Only into an empty journal. A process of a rolling restart may end during an outage, and this is what it left.
        Each entry is here, durably, before it is removed there: after a kill in between it is in both, and the
        database knows its own row.
        """
        for path in self._paths:
            if path != self.path and path.exists():
                try:
                    left = Journal(path, max_bytes=self._max_bytes)
                    left.open()
                except StorageError:  # its process is still there, or the file is unusable: doctor names it
                    continue
                try:
                    return self._take_over(left, count)
                finally:
                    left.close()
        return 0

    def _take_over(self, left: "Journal", count: int) -> int:
        rows = left.rows(count)
        with self._using():
            if not rows or self._connection.execute("SELECT EXISTS (SELECT 1 FROM entry)").fetchone() == (1,):
                return 0
            self._refuse_beyond_capacity(sum(_ROW_BYTES + len(row[-1]) for row in rows.values()))
            self._append([*rows.values()])
            (self.found_up_to,) = self._connection.execute("SELECT max(seq) FROM entry").fetchone()
            self.found += len(rows)
            self._measure()
        left.remove(rows.keys())
        return len(rows)

    def rows(self, count: int) -> dict[int, _Row]:
        """Return the oldest rows as they are, by seq."""
        statement = f"SELECT seq, {', '.join(_COLUMNS)} FROM entry ORDER BY seq LIMIT ?"  # noqa: S608 - our own names
        with self._using():
            return {row[0]: row[1:] for row in self._connection.execute(statement, (count,))}

    def commit(self, entries: Sequence[Entry], _parts: Sequence[Part] = ()) -> Committed:
        """Append the entries and return their verdicts once they are durable; a probe commits and leaves nothing.

        Raises StorageError, of kind SPOOL_FULL when there is no room: then nothing was appended.
        """
        kept = [entry for entry in entries if not isinstance(entry, Probe)]
        rows = [_row(entry) for entry in kept]
        with self._using():
            self._refuse_beyond_capacity(sum(_ROW_BYTES + len(row[-1]) for row in rows))
            self._append(rows)
            if len(kept) < len(entries):
                self._connection.execute("INSERT OR REPLACE INTO write_probe VALUES (1, ?)", (str(datetime.now(UTC)),))
            if identities(self._names) != self._files:
                raise StorageBroken(f"{self.path} or its WAL was moved or deleted", ErrorKind.MOVED)
            self._measure()
        return Committed([_verdict(entry) for entry in entries], {"spool": len(rows)})

    def _append(self, rows: Sequence[_Row]) -> None:
        insert(self._connection, _INSERTION, rows)

    def oldest(self, count: int, passing_over: Collection[int] = ()) -> list[Waiting]:
        """Return the entries that have waited longest, in order, without those of the given seqs."""
        statement = (
            "SELECT seq, version, outcome, request_id, entry FROM entry "
            "WHERE seq NOT IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?"
        )
        with self._using():
            return [Waiting(*row) for row in self._connection.execute(statement, (json.dumps([*passing_over]), count))]

    def click_ids(self, most: int) -> list[str]:
        """Return the click ids that wait, so many at most."""
        statement = "SELECT DISTINCT click_id FROM entry WHERE click_id IS NOT NULL LIMIT ?"
        with self._using():
            return [click_id for (click_id,) in self._connection.execute(statement, (most,))]

    def remove(self, seqs: Collection[int]) -> int:
        """Remove entries that the database has committed; return how many there were."""
        statement = "DELETE FROM entry WHERE seq IN (SELECT value FROM json_each(?))"
        with self._using():
            removed = self._connection.execute(statement, (json.dumps([*seqs]),)).rowcount
            self._measure()
        return removed

    def measure(self) -> None:
        """Measure `size` anew: what is free on the file system changes by itself."""
        with self._using():
            self._measure()

    def close(self) -> None:
        """Close the file; it keeps what waits."""
        with self._lock:
            self._connection.close()
            self._file_lock.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Take the connection for oneself; remember an error after which it must not be used again."""
        with self._lock:
            if self.broken:
                raise self.broken.with_traceback(None)
            try:
                yield
            except sqlite3.Error as error:
                raise self._noted(storage_error(error)) from error
            except StorageBroken as error:
                raise self._noted(error) from None

    def _noted(self, error: StorageError) -> StorageError:
        if isinstance(error, StorageBroken):
            self.broken = error
        return error

    def _refuse_beyond_capacity(self, more: int) -> None:
        if not more:
            return
        taken, free = self._taken(), self._free()
        if taken + more + self._pragma("page_size") > self._max_bytes:
            raise StorageError(f"the spool is full: {taken} of {self._max_bytes} bytes are taken", ErrorKind.SPOOL_FULL)
        if free < 2 * more + RESERVED_BYTES:  # it is written twice: into the write-ahead log, and then into the file
            raise StorageError(f"the disk under the spool is full: {free} bytes are free", ErrorKind.SPOOL_FULL)

    def _measure(self) -> None:
        taken = self._taken()
        capacity = min(self._max_bytes, taken + max(0, self._free() - RESERVED_BYTES))
        oldest = self._connection.execute("SELECT received_at FROM entry ORDER BY seq LIMIT 1").fetchone()
        self.size = JournalSize(taken, capacity, datetime.fromisoformat(oldest[0]).timestamp() if oldest else 0.0)

    def _taken(self) -> int:
        """Return the bytes of pages in use; the file keeps those of entries that have left, for the next."""
        count, free, each = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (count - free) * each

    def _free(self) -> int:
        system = os.statvfs(self.path.parent)
        return system.f_bavail * system.f_frsize

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _verdict(entry: Entry) -> Verdict:
    if isinstance(entry, Postback | Probe):
        return Verdict(Outcome.SPOOLED)
    return Verdict(entry.outcome, entry.detail, entry.diagnosis, entry.retry_after)


def _row(entry: Kept) -> _Row:
    raw = entry.raw
    return VERSION, outcome_of(entry), raw.request_id, entry.click_id, raw.received_at.isoformat(), encode(entry)
