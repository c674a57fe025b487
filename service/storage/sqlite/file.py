"""Owns how a SQLite file is opened: durability pragmas for the one writer, its lock, readers that cannot write."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, NoneType

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.storage.new_file import sync
from service.storage.pool import POOLED
from service.storage.sqlite.restoring import assert_whole

_PRIVATE = 0o600  # of a new file: SQLite gives those that it puts beside it, -wal and -shm, the same mode
_PRIVATE_DIRECTORY = 0o700
_SYNCHRONOUS_FULL = 2
_BUSY_SECONDS = 0.5  # another process's write lock: wait this long, then it is storage_unavailable
_READING_SECONDS = 2.0
_CHECKPOINT_PAGES = 1000
_STATEMENTS = 300  # prepared and kept: an INSERT for each number of rows

# The driver looks for how to adapt each bool and each None, finds nothing, and words an error: a third of an insertion.
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(NoneType, lambda none: none)

# By primary result code (SQLite manual, "Result and Error Codes"); the extended one stays in the message.
_KINDS = {
    sqlite3.SQLITE_BUSY: ErrorKind.SQLITE_BUSY,
    sqlite3.SQLITE_FULL: ErrorKind.SQLITE_FULL,
    sqlite3.SQLITE_IOERR: ErrorKind.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY: ErrorKind.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT: ErrorKind.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB: ErrorKind.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN: ErrorKind.SQLITE_CANTOPEN,
    sqlite3.SQLITE_INTERRUPT: ErrorKind.SQLITE_INTERRUPT,
}
_FATAL = {ErrorKind.SQLITE_IOERR, ErrorKind.SQLITE_CORRUPT, ErrorKind.SQLITE_NOTADB, ErrorKind.SQLITE_CANTOPEN}


def storage_error(error: sqlite3.Error | DBAPIError, rows: Mapping[str, int] = MappingProxyType({})) -> StorageError:
    """Classify a driver's error.

    After SQLITE_IOERR and its kin nothing that this connection says can be trusted (a failed fsync may have dropped
    pages that later look clean), so they are broken, not retryable.
    """
    driver = error.orig if isinstance(error, DBAPIError) else error
    kind = _KINDS.get(getattr(driver, "sqlite_errorcode", 0) & 0xFF, ErrorKind.SQLITE_OTHER)
    name = getattr(driver, "sqlite_errorname", None) or type(driver).__name__
    return (StorageBroken if kind in _FATAL else StorageError)(f"{name}: {driver}", kind, rows)


def read_only(path: Path) -> str:
    """Return the URI of a file that is only read, whatever letters its name has."""
    return f"{path.absolute().as_uri()}?mode=ro"


def assert_there(path: Path) -> None:
    """Raise StorageError, which names the whole path, unless there is a database file, and no restore replaces it."""
    try:
        assert_whole(path)
        there = path.exists()
    except OSError as error:  # its folder may not be entered
        raise StorageError(f"{path.absolute()}: {error.strerror}", ErrorKind.CANTOPEN) from error
    if not there:
        raise StorageError(f"there is no database at {path.absolute()}", ErrorKind.NO_DATABASE)


def create_private(path: Path) -> None:
    """Create an empty file that only this user may read, unless a file is there: that keeps its mode. Raises OSError.

    One that is there is not even opened: to close it would drop the locks that this process's SQLite has on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))


def create_private_directory(path: Path) -> None:
    """Create a directory that only this user may enter, and what is missing above it. Raises OSError."""
    for missing in reversed([it for it in (path, *path.parents) if not it.exists()]):
        missing.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)


class FileLock:
    """Being the only writer of a SQLite file, by whatever name it is opened, until `close`.

    Two writing processes could both checkpoint; before 3.51.3 SQLite can then lose committed writes (WAL-reset bug).
    The lock is flock on the file itself, which SQLite's own locks (POSIX) do not see.
    """

    def __init__(self, path: Path, *, restoring: bool = False) -> None:
        """Create the file if need be and lock it; only a restore may lock what is being restored.

        Raises OSError, or StorageError if another process holds it.
        """
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
            try:
                self._lock(path, restoring=restoring)
            except BaseException:
                self.close()
                raise
            if identities([path]) == [_identity(os.fstat(self._descriptor))]:
                return
            self.close()  # it was replaced between the opening and the lock

    def _lock(self, path: Path, *, restoring: bool) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not restoring:
                assert_whole(path)  # then it is the restore that holds it
            raise StorageError(f"another process is serving {path}", ErrorKind.LOCKED) from None
        if not restoring:
            assert_whole(path)

    def close(self) -> None:
        """Let another process write. Only after SQLite's connection is closed: this drops the process's POSIX locks."""
        os.close(self._descriptor)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return the one writing connection: WAL and synchronous=FULL, both asserted; statements commit by themselves."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS, timeout=_BUSY_SECONDS
    )
    try:
        _assert_durable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _assert_durable(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone does not reach the disk there
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA cache_size=-8000")  # KiB: the upper pages, more is no faster; the system caches the rest
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _SYNCHRONOUS_FULL:
        raise StorageBroken(
            f"journal_mode={mode} synchronous={synchronous}: a 200 would be no receipt", ErrorKind.NOT_DURABLE
        )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make one transaction of several statements."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself already
            connection.execute("ROLLBACK")
        raise


def reader_engine(path: Path) -> Engine:
    """Return an engine whose connections cannot write or checkpoint (`mode=ro`)."""
    engine = _pooled(URL.create("sqlite", database=read_only(path), query={"uri": "true"}), path, _READING_SECONDS)

    @event.listens_for(engine, "connect")
    def harmless(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA wal_autocheckpoint=0")

    return engine


def second_engine(path: Path) -> Engine:
    """Return an engine that writes beside the one writer, while that is open.

    Its connections never checkpoint: not by themselves, and not when they close, because they are not the last. One of
    another process may be: if the writer closes in that moment. SQLite then checkpoints alone, under an exclusive
    lock: nobody else has the file open, so there are never two (the WAL-reset bug needs two).
    """
    engine = _pooled(URL.create("sqlite", database=str(path)), path, _BUSY_SECONDS)

    @event.listens_for(engine, "connect")
    def durable(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=ON")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA secure_delete=FAST")  # ON, as some are built, writes every page that is freed

    return engine


def _pooled(url: URL, path: Path, busy_seconds: float) -> Engine:
    """Return an engine with a pool that any thread may use; a connection to a file that was replaced counts as dead."""
    engine = create_engine(url, connect_args={"timeout": busy_seconds, "check_same_thread": False}, **POOLED)

    @event.listens_for(engine, "connect")
    def know(_: object, record: ConnectionPoolEntry) -> None:
        record.info["file"] = identities([path])

    @event.listens_for(engine, "checkout")
    def recognise(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info["file"] != identities([path]):
            raise DisconnectionError

    return engine


def patient(seconds: float) -> str:
    """Return the statement that says how long the next ones wait for another process's lock."""
    return f"PRAGMA busy_timeout={seconds * 1000:.0f}"


def migrating_engine(path: Path) -> Engine:
    """Return an engine for the migrations, which may be of a file that is not there yet; nothing stays open of it."""
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)

    @event.listens_for(engine, "do_connect")
    def private(*_: object) -> None:
        with suppress(OSError):  # SQLite says it in its own way
            create_private(path)

    return engine


def rewrite(path: Path) -> None:
    """Write the whole file anew, beside the one writer: deleted bytes stay in unused parts of pages until then.

    It needs as much room again, for a while. Raises StorageError: all rows are as they were, and so are the traces.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        told = storage_error(error)
        raise StorageError(
            f"rows are deleted, traces of them are left in the file; mend this and erase again: {told}", told.kind
        ) from error


def identities(names: Sequence[str | Path]) -> list[tuple[int, int]]:
    """Say which files are at these names: SQLite goes on writing to a deleted one, and 200 would be no receipt.

    Empty, if one is not there or may not be looked at.
    """
    try:
        return [_identity(status) for status in map(os.stat, names)]
    except OSError:
        return []


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def sync_directory(path: Path) -> None:
    """Make a new file's directory entry durable: SQLite syncs the file, and a power cut can still lose its name."""
    for directory in (path.parent, path.parent.parent):
        sync(directory)
