"""Owns the journal: a SQLite file where entries wait in the order of their arrival, each fsynced before its receipt.

It has the one method that a writer needs of storage, so a second group commit stands before it. An entry leaves only by
`remove`, after the database's commit. Bounded in bytes: a full journal is a 503, never a false 200. It says for
which database its entries are.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

from service.core.judging import Part
from service.core.outcome import Outcome
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry, Probe, Verdict
from service.spool import ownership
from service.spool.flags import Flags
from service.spool.host_clock import Nanoseconds, host_clock
from service.spool.journal_schema import INSERTION, OLDEST, Row, Waiting, make_tables, row_of
from service.spool.ownership import Owner
from service.storage.ledger import Committed
from service.storage.sqlite.file import (
    FileLock,
    connect_writer,
    create_private_directory,
    identities,
    storage_error,
    sync_directory,
)
from service.storage.sqlite.statements import insert

MAX_BYTES = 2**30  # a million postbacks, roughly
RESERVED_BYTES = 8 * 2**20  # of the disk: removing entries takes room as well, or it could never be drained
_PATIENCE_SECONDS = 5.0  # whoever drains a journal that was left has it for one step, which a deadline ends
_AGAIN_SECONDS = 0.1
_ROW_BYTES = 200  # of columns and B-tree around an entry's text


class JournalSize(NamedTuple):
    """Bytes taken and bytes that may be taken, and when the oldest entry came (Unix seconds, 0 if there is none)."""

    taken: int = 0
    capacity: int = 0
    oldest_at: float = 0.0


class Held(Protocol):
    """What keeps other processes from a journal's file until it is closed."""

    def close(self) -> None:
        """Let another process have it."""


class Journal:
    """One process's journal. Every method blocks and may be called on any thread, once it is open.

    After an I/O error nothing that the file says can be trusted: `broken` is set, and every later call raises it.
    """

    def __init__(
        self,
        *paths: Path,
        place: str = "",
        max_bytes: int = MAX_BYTES,
        patience: float = _PATIENCE_SECONDS,
        clock: Callable[[Path], Nanoseconds] = host_clock,
    ) -> None:
        """Take the first of the paths that no other process has, when it is opened; wait for one so many seconds.

        `place` is where the settings' database is, without user and password. `clock` returns what orders the entries
        of a SPOOL_DIR.
        """
        self.place = place
        self._paths = paths
        self.path = paths[0]
        self.size = JournalSize(capacity=max_bytes)
        self.found = 0  # entries that an earlier process left
        self.found_up_to = 0  # the seq of the last of them
        self.broken: StorageBroken | None = None
        self._max_bytes = max_bytes
        self._patience = patience
        self._clock = clock
        self._lock = Lock()

    def open(self, held: Held | None = None) -> None:
        """Lock, unless the first path is `held`; create what is not there, and count what was left.

        Raises StorageError.
        """
        self.path, self._held = (self.path, held) if held else self._free_path()
        self._names = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        try:
            self.flags = Flags(self.path.parent.parent)
            self._now = self._clock(self.path.parent.parent)
            self._connection = connect_writer(self.path)
            make_tables(self._connection)
            self.found, last = self._connection.execute("SELECT count(*), max(seq) FROM entry").fetchone()
            self.found_up_to = last or 0
            for path in (self.path, self.path.parent):
                sync_directory(path)
        except (sqlite3.Error, StorageError) as error:
            self._held.close()
            raise error if isinstance(error, StorageError) else storage_error(error) from error
        self._files = identities(self._names)
        self.measure()

    def _free_path(self) -> tuple[Path, FileLock]:
        end = time.monotonic() + self._patience
        while True:
            for path in self._paths:
                try:
                    create_private_directory(path.parent)
                    return path, FileLock(path)
                except OSError as error:
                    raise StorageError(f"cannot open the spool {path}: {error.strerror}", ErrorKind.CANTOPEN) from error
                except StorageError:
                    if time.monotonic() >= end and path == self._paths[-1]:
                        raise
            time.sleep(_AGAIN_SECONDS)

    def claim(self, name: str | None) -> None:
        """Note that the entries are for the settings' database, which has this name, or None while nobody could ask it.

        Raises StorageBroken if they are for another one. A journal without entries is anybody's.
        """
        ours = Owner(name, self.place)
        with self._using():
            theirs = ownership.owner_of(self._connection)
            same = theirs.is_for(ours)
            if not same and self._any():
                raise ownership.anothers(self.path, theirs, ours)
            if same and name is None:
                ours = ours._replace(name=theirs.name)
            if ours != theirs:
                ownership.note(self._connection, theirs, ours)

    def commit(self, entries: Sequence[Entry], _parts: Sequence[Part] = ()) -> Committed:
        """Append the entries and return their verdicts once they are durable; a probe commits and leaves nothing.

        Raises StorageError, of kind SPOOL_FULL when there is no room: then nothing was appended.
        """
        kept = [entry for entry in entries if not isinstance(entry, Probe)]
        durable = {"spool": len(kept)}
        with self._using():
            rows = [row_of(entry, self._now()) for entry in kept]
            self._refuse_beyond_capacity(sum(_ROW_BYTES + len(text) for *_, text, _ in rows))
            self.flags.set(self.path, waits=True)
            self._append(rows)
            with _broken_beside(durable):
                if len(kept) < len(entries):
                    self._connection.execute(
                        "INSERT OR REPLACE INTO write_probe VALUES (1, ?)", (str(datetime.now(UTC)),)
                    )
                if identities(self._names) != self._files:
                    raise StorageBroken(f"{self.path} or its WAL was moved or deleted", ErrorKind.MOVED)
                self._measure()
        return Committed([_verdict(entry) for entry in entries], durable)

    def _append(self, rows: Sequence[Row]) -> None:
        insert(self._connection, INSERTION, rows)

    def oldest(self, count: int, passing_over: Collection[str] = (), click_ids: Collection[str] = ()) -> list[Waiting]:
        """Return the entries that have waited longest, in order, without those of the given request or click ids."""
        left_out = (json.dumps([*passing_over]), json.dumps([*click_ids]))
        with self._using():
            return [Waiting(*row) for row in self._connection.execute(OLDEST, (*left_out, count))]

    def remove(self, seqs: Collection[int]) -> int:
        """Remove entries that the database has committed; return how many there were."""
        statement = "DELETE FROM entry WHERE seq IN (SELECT value FROM json_each(?))"
        with self._using():
            removed = self._connection.execute(statement, (json.dumps([*seqs]),)).rowcount
            try:
                self._measure()
            except (OSError, sqlite3.Error) as error:  # they are gone all the same: the next use hears of it
                self._noted(_broken(error))
        return removed

    def measure(self) -> None:
        """Measure `size` anew: what is free on the file system changes by itself."""
        with self._using():
            self._measure()

    def close(self) -> None:
        """Close the file; it keeps what waits."""
        with self._lock:
            self._connection.close()
            self.flags.close()
            self._held.close()

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
            except OSError as error:
                raise self._noted(_broken(error)) from error
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
        self.flags.set(self.path, waits=oldest is not None)

    def _any(self) -> bool:
        return bool(self._connection.execute("SELECT EXISTS (SELECT 1 FROM entry)").fetchone()[0])

    def _taken(self) -> int:
        """Return the bytes of pages in use; the file keeps those of entries that have left, for the next."""
        count, free, each = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (count - free) * each

    def _free(self) -> int:
        system = os.statvfs(self.path.parent)
        return system.f_bavail * system.f_frsize

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def _broken_beside(rows: Mapping[str, int]) -> Iterator[None]:
    """Whatever fails now, these rows are durable: nobody may be told so, and they must be counted."""
    try:
        yield
    except Exception as error:
        broken = _broken(error)
        raise StorageBroken(str(broken), broken.kind, rows) from error


def _broken(error: Exception) -> StorageBroken:
    told = storage_error(error) if isinstance(error, sqlite3.Error) else error
    return StorageBroken(str(told), told.kind if isinstance(told, StorageError) else ErrorKind.CANTOPEN)


def _verdict(entry: Entry) -> Verdict:
    if isinstance(entry, Postback | Probe):
        return Verdict(Outcome.SPOOLED)
    return Verdict(entry.outcome, entry.detail, entry.diagnosis, entry.retry_after, entry.hint)
