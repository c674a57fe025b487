"""Owns the schema's history: the versions that Alembic applies, and who may run on which of them.

A serving process finds its schema as it should be, and never needs Alembic: 10 MB and 50 ms of a start.
"""

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from service.core.unavailable import ErrorKind, StorageError

_VERSIONS = Path(__file__).parent / "versions"
_LOCK_KEY = 0x706F_7374_6261_636B  # "postback": the advisory lock of whoever migrates
_PATIENCE_SECONDS = 600.0
_BETWEEN_SECONDS = 0.2
_LOCK_NOT_AVAILABLE = "55P03"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Version:
    """One step of the schema's history."""

    number: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database's schema is.

    `current` is empty before the first migration; `floor` is the newest migration that the oldest code which may run
    here knows, empty where nothing tells; `strange` says that `current` is neither known nor newer than this code.
    """

    current: str
    newest: str
    floor: str
    pending: tuple[Version, ...]
    strange: bool

    @property
    def refusal(self) -> str | None:
        """Say why this code cannot work on that schema, None if it can."""
        if self.pending:
            return f"{len(self.pending)} pending migrations ({self.current or 'empty'} → {self.newest})"
        if self.strange:
            return f"the schema is at {self.current}, which this code ({self.newest}) does not know"
        if self.floor > self.newest:
            return (
                f"the schema is at {self.current} and needs code of {self.floor} or newer; this code is {self.newest}"
            )
        return None


class Migrations:
    """The schema of one database. Every method opens a connection of its own, may block and raises StorageError."""

    def __init__(self, engine: Engine, name: str, classify: Callable[[DBAPIError], StorageError]) -> None:
        self._engine = engine
        self._name = name
        self._classify = classify

    def status(self) -> Status:
        """Compare the database with this code."""
        with self._connected() as connection:
            return _status(connection)

    def up(self, target: str = "head", tell: Tell = lambda _: None) -> Status:
        """Run what is pending, once, however many processes ask for it at the same time."""
        with self._connected() as connection, _alone(connection):
            before = _status(connection)
            if before.refusal and not before.pending:
                raise StorageError(f"{self._name} cannot be migrated: {before.refusal}", ErrorKind.MIGRATION)
            if not before.pending:
                return before
            from service.storage.migrations import running  # noqa: PLC0415 - as said above

            pending = [version for version in before.pending if target == "head" or version.number <= target]
            # Alembic reads all versions at each run, so an empty database, where nobody waits, gets them in one.
            for run in [[version] for version in pending] if before.current else filter(None, [pending]):
                for version in run:
                    tell(f"{version.number}: {version.sentence}")
                _patiently(partial(running.upgrade, connection, run[-1].number))
            return _status(connection)

    def down(self, target: str) -> Status:
        """Go back to a version (or `base`: before the first, an empty database)."""
        known = {*_versions(), "base"}
        if target not in known:
            raise StorageError(
                f"there is no version {target}; there are {', '.join(sorted(known))}", ErrorKind.MIGRATION
            )
        from service.storage.migrations import running  # noqa: PLC0415 - as said above

        with self._connected() as connection, _alone(connection):
            _patiently(partial(running.downgrade, connection, target))
            return _status(connection)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._classify(error) from error


def newest_version() -> str:
    """Return the version that this code brings a database to."""
    return max(_versions())


def _versions() -> dict[str, Path]:
    """Return the file of each version, in order: its name begins with `v` and the version's number."""
    return {path.name[1:5]: path for path in sorted(_VERSIONS.glob("v*.py"))}


def _sentence(path: Path) -> str:
    """Return what a version's file says that it owns, after the colon."""
    first = (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]
    return first.partition(":")[2].strip()


def _status(connection: Connection) -> Status:
    tables = inspect(connection).get_table_names()
    current, floor = (
        connection.execute(text(f"SELECT {column} FROM {table}")).scalar() or "" if table in tables else ""  # noqa: S608
        for table, column in (("alembic_version", "version_num"), ("schema_floor", "oldest_code"))
    )
    connection.rollback()
    versions = _versions()
    newest = max(versions)
    pending = tuple(Version(number, _sentence(path)) for number, path in versions.items() if number > current)
    known = not current or current in versions
    newer = current > newest and floor  # whoever wrote it knows of floors
    return Status(current, newest, floor, pending if known else (), strange=not (known or newer))


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock; SQLite's file lock is the ledger's.

    Asked for again and again and not waited for: a waiting statement has a snapshot, for whose end a concurrent build
    of an index would wait, and both would wait for ever.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    end = time.monotonic() + _PATIENCE_SECONDS
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}).scalar():
        connection.rollback()
        if time.monotonic() > end:
            raise StorageError("another process has been migrating for ten minutes", ErrorKind.MIGRATION)
        time.sleep(_BETWEEN_SECONDS)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
        connection.commit()


def _patiently(step: Callable[[], None]) -> None:
    """Try again while a table that a step needs is locked: it gives up its place in the lock's queue in between."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return step()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or time.monotonic() > end:
                raise
        time.sleep(_BETWEEN_SECONDS)
