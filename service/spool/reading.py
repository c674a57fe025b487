"""Owns looking into journals from outside, beside the process that writes them: what waits, since when, whose it is."""

import fcntl
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from service.core.mentions import Texts
from service.core.outcome import Outcome
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import worth
from service.spool.encoding import Kept, Unreadable, decode
from service.spool.ownership import Owner, owner_of
from service.spool.places import journals
from service.storage.reads.history import Arrival
from service.storage.sqlite.file import storage_error

_BUSY_SECONDS = 2.0


class Looked(NamedTuple):
    """What one journal holds: entries, bytes, when the oldest came (None: empty), and for which database."""

    path: Path
    entries: int
    taken: int
    oldest_at: datetime | None
    owner: Owner


def look(path: Path) -> Looked:
    """Look into a journal. Raises StorageError if it cannot be read."""
    with closing(connect(path)) as connection:
        try:
            entries, oldest = connection.execute("SELECT count(*), min(received_at) FROM entry").fetchone()
            count, free, each = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            owner = owner_of(connection)
        except sqlite3.Error as error:
            raise storage_error(error) from error
    came = datetime.fromisoformat(oldest) if oldest else None
    return Looked(path, entries, (count - free) * each, came, owner)


def own_entries(spool_directory: Path, process: str) -> Counter[str]:
    """Count the waiting entries of one process, known by its request ids, by the outcome that was answered."""
    counts: Counter[str] = Counter()
    statement = "SELECT outcome, count(*) FROM entry WHERE request_id >= ? AND request_id < ? GROUP BY outcome"
    for _, path in journals(spool_directory):
        with closing(connect(path)) as connection:
            try:
                counts.update(dict(connection.execute(statement, (process, f"{process}g")).fetchall()))
            except sqlite3.Error as error:
                raise storage_error(error) from error
    return counts


class Waits(NamedTuple):
    """A postback that waits in a journal: for which database, and, if it is not of the click id, what names that."""

    arrival: Arrival
    owner: Owner
    click_id: str | None = None
    parameter: str = ""


def arrivals(spool_directory: Path, texts: Texts) -> list[Waits]:
    """Return the postbacks that wait here and name one of the texts. Raises StorageError if a journal cannot be read.

    Of a click id: what is of it, by an index, and every rejection whose raw input names it. A person's text may be
    anywhere in any entry.
    """
    found = []
    for _, path in journals(spool_directory):
        with closing(connect(path)) as connection:
            try:
                rows = connection.execute(_ANY if texts.personal else _OF, (json.dumps(texts.texts),)).fetchall()
                owner = owner_of(connection)
            except sqlite3.Error as error:
                raise storage_error(error) from error
        found += [waits for row in rows for waits in _naming(row, path, owner, texts)]
    return found


_ANY = "SELECT version, outcome, entry FROM entry WHERE ? <> '' ORDER BY seq"
_OF = """
    SELECT version, outcome, entry FROM entry
    WHERE click_id IN (SELECT value FROM json_each(?)) OR outcome <> 'spooled' ORDER BY seq
"""


def _naming(row: tuple[int, str, str], path: Path, owner: Owner, texts: Texts) -> Iterator[Waits]:
    try:
        entry = decode(*row)
    except Unreadable as error:
        raise StorageError(f"{path}: {error}", ErrorKind.UNREADABLE) from error
    if entry.click_id in texts.texts:
        yield Waits(_arrival(entry, path), owner, entry.click_id)
    elif texts.named_in(raw := entry.raw.as_sent(), entry.click_id):
        yield Waits(_arrival(entry, path), owner, entry.click_id, texts.parameter_of(raw))


def _arrival(entry: Kept, path: Path) -> Arrival:
    what = worth(entry) if isinstance(entry, Postback) else entry.detail
    outcome = Outcome.SPOOLED if isinstance(entry, Postback) else entry.outcome
    raw = entry.raw
    detail = f"{what}; waits in {path} for the database"
    return Arrival(raw.received_at, outcome, entry.sender, raw.door, raw.request_id, detail)


def connect(path: Path, busy_seconds: float = _BUSY_SECONDS) -> sqlite3.Connection:
    """Return a connection that cannot write, for one thread at a time. Raises StorageError."""
    name = f"{path.resolve().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(name, uri=True, timeout=busy_seconds, check_same_thread=False)
    except sqlite3.Error as error:
        raise storage_error(error) from error
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def in_use(path: Path) -> bool:
    """Say whether a process has the journal's lock. Not for a process that has connections to it.

    Closing a descriptor drops all the locks that the process has on the file.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return False
