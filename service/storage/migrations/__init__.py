"""Owns the schema's history: Alembic, configured in code, the versions it applies, and who may run on which of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from service.core.unavailable import ErrorKind, StorageError
from service.storage.migrations.online import LOCK_SECONDS

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
            for version in before.pending:
                if version.number <= target or target == "head":
                    tell(f"{version.number}: {version.sentence}")
                    _patiently(partial(self._run, connection, command.upgrade, version.number))
            return _status(connection)

    def down(self, target: str) -> Status:
        """Go back to a version (or `base`: before the first, an empty database)."""
        known = {version.number for version in _versions()} | {"base"}
        if target not in known:
            raise StorageError(
                f"there is no version {target}; there are {', '.join(sorted(known))}", ErrorKind.MIGRATION
            )
        with self._connected() as connection, _alone(connection):
            _patiently(partial(self._run, connection, command.downgrade, target))
            return _status(connection)

    def _run(self, connection: Connection, action: Callable[[Config, str], None], target: str) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET lock_timeout = {LOCK_SECONDS * 1000:.0f}"))
            connection.commit()  # Alembic must find no transaction, to have one of its own for each version
        config = _config()
        config.attributes["connection"] = connection
        action(config, target)
        connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._classify(error) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def newest_version() -> str:
    """Return the version that this code brings a database to."""
    return _versions()[-1].number


def _versions() -> list[Version]:
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    versions = [Version(script.revision, script.doc.partition(":")[2].strip() or script.doc) for script in scripts]
    return versions[::-1]


def _status(connection: Connection) -> Status:
    current = MigrationContext.configure(connection).get_current_revision() or ""
    tables = inspect(connection).get_table_names()
    floor = (
        connection.execute(text("SELECT oldest_code FROM schema_floor")).scalar() if "schema_floor" in tables else ""
    )
    connection.rollback()
    versions = _versions()
    newest = versions[-1].number
    known = current in {"", *(version.number for version in versions)}
    pending = tuple(version for version in versions if version.number > current) if known else ()
    newer = current > newest and floor  # whoever wrote it knows of floors
    return Status(current, newest, floor or "", pending, strange=not (known or newer))


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
