"""Owns `migrate copy`: a grown SQLite file moved into an empty PostgreSQL database, resumable, and compared at the end.

Ranges of the primary key, one transaction each: the rows and how far they go are durable together, so a copy that was
interrupted goes on where it was. Memory is bounded by a range, whatever the size of the tables.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import psycopg
from sqlalchemy import JSON, Boolean, LargeBinary

from service.core.chunk import CHUNK_BYTES, ChunkSize, next_chunk
from service.core.unavailable import ErrorKind, StorageError
from service.storage.location import PostgresServer, SqliteFile
from service.storage.postgres.server import ServerConnection, postgres_error
from service.storage.schema.registry import TABLES, StoredTable
from service.storage.sqlite.file import FileLock, assert_there, storage_error

RANGE = ChunkSize(10_000, CHUNK_BYTES)  # each is a transaction of its own
_COMPARED_ROWS = 250  # fetched at once
_LOCK_KEY = 0x706F_7374_636F_7079  # "postcopy"

Value = str | int | bytes | None
Row = tuple[Value, ...]


_TABLES = tuple(table for table in TABLES if table.copied)


@dataclass(frozen=True, slots=True)
class Compared:
    """One table on both sides after the copy; checksums are over every column of every row, in the key's order."""

    table: str
    source_rows: int
    target_rows: int
    source_checksum: str
    target_checksum: str

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same."""
        return (self.source_rows, self.source_checksum) == (self.target_rows, self.target_checksum)


Progress = Callable[[str, int, int], None]  # table, rows copied, rows in all


def copy(source: SqliteFile, target: PostgresServer, progress: Progress, size: ChunkSize = RANGE) -> list[Compared]:
    """Copy what is missing, compare everything, and return the comparison. Raises StorageError.

    The source must not be being served (its lock is held meanwhile), and both must be at this code's schema. The target
    must hold nothing but what an earlier, interrupted copy of the same file brought there. `size` is that of a range.
    """
    with _opened(source) as file, _connected(target) as connection:
        _begin(connection, str(source.path.resolve()))
        for table in _TABLES:
            _copy_table(file, connection, table, progress, size)
        compared = [_compare(file, connection, table, progress) for table in _TABLES]
        if all(it.equal for it in compared):
            connection.execute("DROP TABLE copy_progress")
        return compared


@contextmanager
def _opened(source: SqliteFile) -> Iterator[sqlite3.Connection]:
    assert_there(source.path)
    lock = FileLock(source.path)
    try:
        with closing(sqlite3.connect(f"{source.path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise storage_error(error) from error
    finally:
        lock.close()


@contextmanager
def _connected(target: PostgresServer) -> Iterator[ServerConnection]:
    try:
        with closing(ServerConnection.to(target)) as connection:
            yield connection
    except psycopg.Error as error:
        raise postgres_error(error) from error


def _begin(connection: ServerConnection, source: str) -> None:
    """Find out whether this is the first try; refuse a target that holds anything else, or that another copy fills."""
    if connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_KEY]).fetchone() != (True,):
        raise StorageError("another copy into the target is under way", ErrorKind.COPY)
    with connection.transaction():
        connection.execute(
            "CREATE TABLE IF NOT EXISTS copy_progress "
            "(table_name text PRIMARY KEY, source text NOT NULL, rows bigint NOT NULL, last_key text)"
        )
        known = connection.execute("SELECT DISTINCT source FROM copy_progress").fetchall()
        if known and known != [(source,)]:
            raise StorageError(
                f"the target holds part of a copy of {known[0][0]}: go on with that, or empty it", ErrorKind.COPY
            )
        for table in _TABLES:
            if not known and connection.execute(f"SELECT 1 FROM {table.name} LIMIT 1".encode()).fetchone():  # noqa: S608 - our own names
                raise StorageError(
                    f"the target's table {table.name} is not empty: copy into an empty database", ErrorKind.COPY
                )
            connection.execute(
                "INSERT INTO copy_progress VALUES (%s, %s, 0, NULL) ON CONFLICT DO NOTHING", [table.name, source]
            )


def _copy_table(
    file: sqlite3.Connection, connection: ServerConnection, table: StoredTable, progress: Progress, size: ChunkSize
) -> None:
    (total,) = file.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608 - our own names
    done, last = _done(connection, table)
    while rows := _range(file, table, last, size):
        last = _key_of(table, rows[-1])
        done += len(rows)
        with connection.transaction():
            _copy_in(connection, table, rows)
            connection.execute(
                "UPDATE copy_progress SET rows = %s, last_key = %s WHERE table_name = %s",
                [done, orjson.dumps(last).decode(), table.name],
            )
        progress(table.name, done, total)
    if table.numbered:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))".encode()  # noqa: S608 - our own names
        )


def _done(connection: ServerConnection, table: StoredTable) -> tuple[int, list[Value] | None]:
    found = connection.execute(
        "SELECT rows, last_key FROM copy_progress WHERE table_name = %s", [table.name]
    ).fetchone()
    rows, last = found or (0, None)
    return int(str(rows)), orjson.loads(str(last)) if last else None


def _range(file: sqlite3.Connection, table: StoredTable, last: Sequence[Value] | None, size: ChunkSize) -> list[Row]:
    """Return the next rows after a key, in the key's order."""
    key, marks = ", ".join(table.key), ", ".join("?" * len(table.key))
    after = f"WHERE ({key}) > ({marks})" if last else ""
    statement = f"SELECT {', '.join(_names(table))} FROM {table.name} {after} ORDER BY {key} LIMIT {size.rows}"  # noqa: S608 - our own names
    large = [*_of_type(table, JSON), *_of_type(table, LargeBinary)]
    with closing(file.execute(statement, last or ())) as found:
        rows, _ = next_chunk(found, size.rows, lambda row: sum(_length(row[number]) for number in large), size.bytes)
    return rows


def _names(table: StoredTable) -> list[str]:
    return [column.name for column in table.table.columns]


def _of_type(table: StoredTable, kind: type[JSON] | type[LargeBinary] | type[Boolean]) -> list[int]:
    """Return the numbers of the columns of a type."""
    return [number for number, column in enumerate(table.table.columns) if isinstance(column.type, kind)]


def _length(value: Value) -> int:
    return len(value) if isinstance(value, str | bytes) else 0


def _key_of(table: StoredTable, row: Row) -> list[Value]:
    return [row[_names(table).index(column)] for column in table.key]


def _copy_in(connection: ServerConnection, table: StoredTable, rows: Sequence[Row]) -> None:
    """Bring rows in the fastest way there is, which knows nothing of rows that are there already."""
    columns = ", ".join(_names(table))
    booleans = _of_type(table, Boolean)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN".encode()) as copying:
        for row in rows:
            known = (value is not None and number in booleans for number, value in enumerate(row))
            copying.write_row([bool(value) if truth else value for value, truth in zip(row, known, strict=True)])


def _compare(
    file: sqlite3.Connection, connection: ServerConnection, table: StoredTable, progress: Progress
) -> Compared:
    ordered = f"FROM {table.name} ORDER BY {', '.join(table.key)}"
    json = _of_type(table, JSON)
    there = [f"CAST({name} AS text)" if number in json else name for number, name in enumerate(_names(table))]
    ours = _checksum(file.execute(f"SELECT {', '.join(_names(table))} {ordered}"))
    progress(f"{table.name} (comparing)", ours[0], ours[0])
    with connection.transaction(), connection.cursor("compared") as cursor:
        cursor.itersize = _COMPARED_ROWS
        cursor.execute(f"SELECT {', '.join(there)} {ordered}".encode())
        theirs = _checksum(cursor)
    return Compared(table.name, ours[0], theirs[0], ours[1], theirs[1])


def _checksum(rows: "Iterator[Sequence[object]]") -> tuple[int, str]:
    digest, number = hashlib.sha256(), 0
    for row in rows:
        number += 1
        digest.update(repr([_same(value) for value in row]).encode("utf-8", "surrogatepass"))
    return number, digest.hexdigest()[:16]


def _same(value: object) -> object:
    """Bring a value into the form that both engines give it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]
    return int(value) if isinstance(value, bool) else value
