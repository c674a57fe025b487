"""Owns the databases of the growth section: a freshly migrated one, and one that already holds millions of rows."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from tests.load.peers import ServerFailed, get, ours, running

_SWEEPS = 4
_CHUNK = 250_000
_FIRST_RECEIVED = 1_700_000_000  # Unix seconds

# What differs from row to row; every other column is copied from a row that the service itself wrote.
_VARIED = {
    "click_id": "printf('%08x', :step * i) || lower(hex(randomblob(12)))",
    "request_id": "lower(hex(randomblob(16)))",
    "received_at": (
        "strftime('%Y-%m-%d %H:%M:%S', :received + i, 'unixepoch') || printf('.%06d', abs(random() % 1000000))"
    ),
}


def count_conversions(database: Path) -> int:
    """Count the stored conversions through a connection that can neither write nor checkpoint."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM conversion").fetchone()
    return int(count)


def make_template(scratch: Path) -> Path:
    """Let the service migrate a new file and store one conversion in it: the pattern for all others."""
    database = scratch / "template.db"
    peer = ours(scratch, database)
    with running(peer):
        status = get(peer.port, "/postback?c=pattern&value=1.25")
    if status != 200 or count_conversions(database) != 1:
        raise ServerFailed(f"the first postback was answered {status} and {count_conversions(database)} rows stored")
    return database


def copy_database(source: Path, target: Path) -> Path:
    """Copy a database, write-ahead log included, over whatever was at the target."""
    remove_database(target)
    with closing(sqlite3.connect(source)) as opened, closing(sqlite3.connect(target)) as copy:
        opened.backup(copy)
    return target


def remove_database(database: Path) -> None:
    """Remove a database that nobody serves, and the files beside it."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def prefill(database: Path, rows: int, on_rows: Callable[[int], None]) -> None:
    """Add so many conversions by SQL, telling `on_rows` how many each step added.

    The keys are spread evenly over the whole space and arrive in several ascending sweeps: fast, and it leaves the
    pages as full as random arrival does. One sweep would pack them, and every later insert would split a page.
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-262144")  # KiB
        insert = _insert_statement(connection)
        connection.execute("CREATE TEMP TABLE pattern AS SELECT * FROM conversion LIMIT 1")
        for first, last, step in _steps(rows):
            bound = {"first": first, "last": last, "step": step, "received": _FIRST_RECEIVED}
            on_rows(connection.execute(insert, bound).rowcount)
        connection.execute("PRAGMA journal_mode=WAL")
    _sync(database)


def _insert_statement(connection: sqlite3.Connection) -> str:
    columns = [str(row[1]) for row in connection.execute("PRAGMA table_info(conversion)")]
    values = [_VARIED.get(column, f"pattern.{column}") for column in columns]
    numbers = "WITH RECURSIVE number(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM number WHERE i + 1 < :last)"
    # The names are the table's own.
    return f"INSERT INTO conversion ({', '.join(columns)}) {numbers} SELECT {', '.join(values)} FROM number, pattern"  # noqa: S608


def _steps(rows: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, step): numbers to insert, last excluded, and how far apart their keys lie in 32 bits."""
    for sweep in range(_SWEEPS):
        size = rows // _SWEEPS + (sweep < rows % _SWEEPS)
        for first in range(0, size, _CHUNK):
            yield first, min(first + _CHUNK, size), 2**32 // size


def _sync(database: Path) -> None:
    """Push the file to the disk now, or the first measured commits would pay for it."""
    descriptor = os.open(database, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
