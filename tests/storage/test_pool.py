"""The pools, on both engines: one connection however often is read, none that is dead, nothing held while idle."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event, text

from service.core.unavailable import ErrorKind, StorageError
from service.storage import pool as module
from service.storage.ledger import Ledger
from service.storage.location import PostgresServer as Place
from service.storage.location import location_of
from service.storage.pool import Pool
from service.storage.postgres.database import PostgresDatabase
from service.storage.reads.conversions import Wanted
from service.storage.reads.quarantine import Chosen
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders, registration
from tests.support.engines import Engine
from tests.support.outside.postgres import run_sql

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SESSIONS = f"SELECT state, backend_xmin IS NULL {OTHERS}"


@pytest.fixture
def connected() -> Iterator[list[object]]:
    """Gather what every pool connects."""
    connections: list[object] = []

    def connect(connection: object, _: object) -> None:
        connections.append(connection)

    event.listen(SqlEngine, "connect", connect)
    yield connections
    event.remove(SqlEngine, "connect", connect)


def test_however_often_the_roster_is_read_one_connection_is_made(
    engine: Engine, ledger: Ledger, connected: list[object]
) -> None:
    assert ledger
    for _ in range(20):
        engine.database.senders().rows()
    assert len(connected) == 1


def test_a_server_sees_one_idle_session_that_holds_nothing(postgres_url: str) -> None:
    with closing(PostgresDatabase(at(postgres_url))) as database:
        for _ in range(20):
            database.senders().rows()
            database.quarantine().newest(Chosen(), 5)
            database.space()
        assert run_sql(postgres_url, SESSIONS) == [("idle", True)]
    assert run_sql(postgres_url, SESSIONS) == []


def test_beside_idle_connections_a_files_log_can_be_emptied(path: Path, sqlite_ledger: SqliteLedger) -> None:
    engine = Engine(f"sqlite:///{path}")
    sqlite_ledger.commit([builders.postback(f"c={number}&value=1") for number in range(300)])
    next(engine.database.conversions().pages(Wanted()))
    engine.database.history().arrivals("1")
    engine.database.quarantine().one("1")
    engine.database.senders().put_keys(registration.key())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    engine.database.close()


def test_the_ledger_of_a_file_closes_last_so_that_no_log_is_left(path: Path) -> None:
    engine = Engine(f"sqlite:///{path}")
    ledger = engine.database.ledger()
    ledger.open()
    ledger.commit([builders.postback()])
    engine.database.senders().put_keys(registration.key())
    assert len(engine.database.history().arrivals(builders.postback().click_id)) == 1
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_took_anothers_place_is_read_instead(path: Path, connected: list[object]) -> None:
    engine = Engine(f"sqlite:///{path}")
    path.parent.mkdir()
    engine.database.migrations().up()
    assert engine.database.history().arrivals("c") == []
    other = Engine(f"sqlite:///{path.with_name('other.db')}")
    with closing(other.database.ledger()) as ledger:
        ledger.open()
        ledger.commit([builders.postback("c=c&value=1")])
    path.with_name("other.db").replace(path)
    assert len(engine.database.history().arrivals("c")) == 1
    assert len(connected) > 1
    engine.database.close()


def test_connections_that_the_server_ended_are_made_anew(postgres_url: str, connected: list[object]) -> None:
    with closing(PostgresDatabase(at(postgres_url))) as database:
        database.senders().put_keys(registration.key())
        database.senders().rows()
        run_sql(postgres_url, f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")
        assert len(database.senders().rows().keys) == 1
        database.senders().put_keys(registration.key("1" * 12))
        assert len(database.senders().rows().keys) == 2
        assert len(connected) == 4  # two that read, two that write: only the dead were replaced


def test_a_connection_on_which_the_driver_failed_is_not_used_again(
    engine: Engine, ledger: Ledger, connected: list[object]
) -> None:
    assert ledger
    senders = engine.database.senders()
    for _ in range(2):
        with pytest.raises(StorageError):
            senders.put_keys(registration.key(sender=None))
    assert len(connected) == 2


def test_only_so_many_are_connected_at_once_and_one_more_waits(
    engine: Engine, ledger: Ledger, connected: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger
    reads: Pool = engine.database.history()._reads  # noqa: SLF001 - what is bounded
    monkeypatch.setattr(reads.engine.pool, "_timeout", 0.1)
    with ExitStack() as stack:
        for _ in range(module._MOST):  # noqa: SLF001 - same
            stack.enter_context(reads.connection())
        with pytest.raises(StorageError, match="4 connections are in use") as raised:
            stack.enter_context(reads.connection())
        assert raised.value.kind is ErrorKind.TIMEOUT
    with reads.connection() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert len(connected) == module._MOST  # noqa: SLF001 - same


def test_a_command_waits_longer_for_another_process_than_a_turn_does(path: Path, sqlite_ledger: SqliteLedger) -> None:
    assert sqlite_ledger
    with (
        closing(Engine(f"sqlite:///{path}").database) as database,
        closing(sqlite3.connect(path, check_same_thread=False)) as other,
        ThreadPoolExecutor(1) as turns,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            database.senders(turns).put_keys(registration.key())
        threading.Timer(1.0, other.rollback).start()
        database.senders().put_keys(registration.key())
        assert len(database.senders().rows().keys) == 1


def at(url: str) -> Place:
    place = location_of(url)
    assert isinstance(place, Place)
    return place
