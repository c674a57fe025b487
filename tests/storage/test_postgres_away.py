"""Servers that go away, hang or are locked: an error in time, and nothing broken is used again."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageError
from service.storage.location import PostgresServer as Place
from service.storage.postgres import ledger as postgres
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.server import ServerConnection, engine_of, pooled_engine
from tests.support import builders
from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import run_sql
from tests.support.postgres_ledger import (
    IN_TIME,
    at,
    backends,
    opened,
    outcomes,
    terminate,
    works,
)


@pytest.mark.usefixtures("both_ways")
def test_a_connection_that_the_server_ended_is_replaced_within_the_batch(postgres_url: str) -> None:
    with opened(postgres_url) as ledger:
        for number in range(5):
            terminate(postgres_url)
            assert outcomes(ledger, builders.postback(f"c={number}&value=1")) == [Outcome.STORED]


@pytest.mark.usefixtures("both_ways")
def test_a_statement_that_somebody_cancelled_fails_and_its_connection_is_not_used_again(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        before = backends(postgres_url)
        other.execute("LOCK TABLE conversion")
        cancel = threading.Timer(0.3, lambda: run_sql(postgres_url, "SELECT pg_cancel_backend(%s)", before[0]))
        cancel.start()
        with pytest.raises(StorageError) as raised:
            ledger.commit([builders.postback()])
        cancel.join()
        assert raised.value.kind == ErrorKind.PG_TIMEOUT
        other.rollback()
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]
        assert backends(postgres_url) != before


@pytest.mark.proof
@pytest.mark.usefixtures("both_ways")
def test_a_locked_table_is_an_error_in_time_that_leaves_nothing_waiting_and_passes(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE conversion")
        for number in range(3):
            started = time.monotonic()
            with pytest.raises(StorageError) as raised:
                ledger.commit([builders.postback(f"c=locked-{number}&value=1")])
            assert time.monotonic() - started < IN_TIME
            assert raised.value.kind == ErrorKind.PG_TIMEOUT
        deadline = time.monotonic() + IN_TIME
        while backends(postgres_url, "AND wait_event_type = 'Lock'") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert backends(postgres_url, "AND wait_event_type = 'Lock'") == []
        other.rollback()
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


@pytest.mark.usefixtures("both_ways")
def test_a_server_that_takes_connections_and_says_nothing_is_an_error_in_time(postgres_url: str) -> None:
    """A stopped server, or a network that swallows everything."""
    place = at(postgres_url)
    with opened(postgres_url) as ledger, closing(socket.create_server(("127.0.0.1", 0))) as silent:
        terminate(postgres_url)
        working = place.parameters["port"]
        place.parameters["port"] = str(silent.getsockname()[1])  # type: ignore[index]  # it is a dict
        ledger._connector._connect = lambda: AsyncServerConnection.to(place)  # noqa: SLF001 - the server moves under the ledger
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StorageError) as raised:
                ledger.commit([builders.postback()])
            assert time.monotonic() - started < IN_TIME
            assert raised.value.kind == ErrorKind.PG_CONNECTION
        place.parameters["port"] = working  # type: ignore[index]
        assert wait_for(lambda: works(ledger), 10)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Leave garbage where it is, as the service does for minutes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def written_in_vain(place: Place) -> None:
    with pytest.raises(psycopg.OperationalError):
        ServerConnection.to(place)


def read_in_vain(place: Place) -> None:
    with pytest.raises(OperationalError):
        pooled_engine(place).connect()


def migrated_in_vain(place: Place) -> None:
    with pytest.raises(OperationalError):
        engine_of(place).connect()


@pytest.mark.proof
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("in_vain", [written_in_vain, read_in_vain, migrated_in_vain])
def test_a_vain_attempt_leaves_no_socket_that_takes_a_place_on_the_server(in_vain: Callable[[Place], None]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        in_vain(at(f"postgresql://receiver@127.0.0.1:{silent.getsockname()[1]}/nowhere"))
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


@pytest.mark.usefixtures("both_ways")
def test_while_the_server_is_away_a_batch_is_refused_at_once(postgres_url: str) -> None:
    """Only the first tries again: a queue behind four tries a batch would be answered too late."""

    def nowhere(_: Place) -> AsyncServerConnection:
        raise psycopg.OperationalError("connection refused")

    with opened(postgres_url) as ledger:
        terminate(postgres_url)
        ledger._connector._connect = lambda: nowhere(at(postgres_url))  # noqa: SLF001 - the server goes away
        with pytest.raises(StorageError):
            ledger.commit([builders.postback()])
        started = time.monotonic()
        with pytest.raises(StorageError):
            ledger.commit([builders.postback()])
        assert time.monotonic() - started < postgres._PAUSE_SECONDS / 2  # noqa: SLF001 - no pause at all
