"""Owns the databases that tests write to: real SQLite files, a real PostgreSQL server, and either in turn."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from threading import current_thread
from typing import TypeVar

import pytest

from service.storage.database import Database, database_at
from service.storage.ledger import Ledger
from service.storage.location import PostgresServer as Place
from service.storage.location import location_of
from service.storage.postgres.server import engine_of
from service.storage.schema.registry import TABLES
from service.storage.sqlite.ledger import SqliteLedger
from service.storage.turns import Turns
from tests.support.migrated import put_migrated
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.processes import starts_processes

TEMPLATE = "migrated"
Row = tuple[object, ...]
Result = TypeVar("Result")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Say where the SQLite database is."""
    return tmp_path / "data" / "postback.db"


@pytest.fixture
def sqlite_ledger(path: Path) -> Iterator[SqliteLedger]:
    """Open a ledger on an empty database, and close it after the test."""
    put_migrated(path)
    opened = SqliteLedger(path)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
@starts_processes
def server() -> Iterator[PostgresServer]:
    """Start one server for all tests of this process, with a migrated database to copy from."""
    with PostgresServer() as started:
        started.sql(f"CREATE DATABASE {TEMPLATE}")
        database_at(started.url(TEMPLATE)).migrations().up()
        yield started
        started.stop(signal.SIGQUIT)  # without a checkpoint: nobody will look at these databases again


@pytest.fixture(scope="session")
def lent(server: PostgresServer) -> dict[str, str]:
    """Hold the database that one test after the other is lent: to make one takes as long as a test."""
    return {"database": server.new_database(TEMPLATE)}


@pytest.fixture
def postgres_url(server: PostgresServer, lent: dict[str, str]) -> Iterator[str]:
    """Lend an empty, migrated database; one whose schema the test changed is not lent again."""
    database = lent["database"]
    yield server.url(database)
    if _fingerprint(server, database) == _fingerprint(server, TEMPLATE):
        filled = (table.name for table in TABLES if table.emptied)
        server.sql(f"TRUNCATE {', '.join(filled)} RESTART IDENTITY", database=database)
    else:
        lent["database"] = server.new_database(TEMPLATE)


def _fingerprint(server: PostgresServer, database: str) -> list[list[Row]]:
    versions = ("SELECT version_num FROM alembic_version", "SELECT oldest_code FROM schema_floor")
    shape = server.sql(_FINGERPRINT, database=database)
    whole = shape[0][-1] is not None
    return [shape, *(server.sql(statement, database=database) for statement in versions if whole)]


_FINGERPRINT = """
    SELECT (SELECT string_agg(concat_ws(' ', table_name, column_name, data_type), ',' ORDER BY table_name, column_name)
            FROM information_schema.columns WHERE table_schema = 'public'),
           (SELECT string_agg(indexdef, ',' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public'),
           to_regclass('schema_floor')
"""


class Engine:
    """One engine as the conformance tests see it: a database of ours, and a way to look behind its back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database: Database = database_at(url)
        self.kind = "sqlite" if url.startswith("sqlite") else "postgres"

    def rows(self, statement: str) -> list[Row]:
        """Return the rows of a query; truth values as numbers, moments as the text that SQLite holds."""
        place = location_of(self.url)
        if isinstance(place, Place):
            with engine_of(place).connect() as connection:
                return [_plain(tuple(row)) for row in connection.exec_driver_sql(statement)]
        with closing(sqlite3.connect(place.path)) as connection:
            return connection.execute(statement).fetchall()

    def change(self, statement: str) -> None:
        """Change the tables behind the service's back."""
        place = location_of(self.url)
        if isinstance(place, Place):
            run_sql(self.url, statement)
            return
        with closing(sqlite3.connect(place.path)) as connection, connection:
            connection.execute(statement)


class NotingTurns:
    """Turns as another gives them, and the names of the threads on which they were taken."""

    def __init__(self, turns: Turns) -> None:
        self.threads: list[str] = []
        self._turns = turns

    def submit(self, work: "Callable[[], Result]") -> "Future[Result]":
        """Take note on the thread that does the work."""

        def noted() -> Result:
            self.threads.append(current_thread().name)
            return work()

        return self._turns.submit(noted)


def _plain(row: Row) -> Row:
    return tuple(value.strftime("%Y-%m-%d %H:%M:%S.%f") if hasattr(value, "strftime") else value for value in row)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.processes)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Give each engine in turn: what it must do, all must do."""
    sqlite = request.param == "sqlite"
    given = Engine(
        f"sqlite:///{request.getfixturevalue('path')}" if sqlite else request.getfixturevalue("postgres_url")
    )
    yield given
    given.database.close()


ON_POSTGRES = pytest.mark.parametrize("engine", [pytest.param("postgres", marks=pytest.mark.processes)], indirect=True)


@pytest.fixture
def ledger(engine: Engine) -> Iterator[Ledger]:
    """Open the engine's ledger on an empty database, and close it after the test."""
    if engine.kind == "sqlite":
        put_migrated(Path(engine.url.removeprefix("sqlite:///")))
    opened = engine.database.ledger()
    opened.open()
    yield opened
    opened.close()
