"""Owns what the tests of PostgreSQL's ledger share: a ledger on a URL, and what is done behind its back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.core.verdict import Entry
from service.storage.location import PostgresServer as Place
from service.storage.location import location_of
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.database import PostgresDatabase
from service.storage.postgres.ledger import PostgresLedger
from tests.support import builders
from tests.support.outside.postgres import run_sql

IN_TIME = 2.0  # what a sender is promised; a batch has 1.2 s


def at(url: str) -> Place:
    place = location_of(url)
    assert isinstance(place, Place)
    return place


@contextmanager
def opened(
    url: str, connect: Callable[[Place], AsyncServerConnection] = AsyncServerConnection.to
) -> Iterator[PostgresLedger]:
    ledger = PostgresLedger(at(url), PostgresDatabase(at(url)).migrations(), connect=connect)
    ledger.open()
    with closing(ledger):
        yield ledger


@pytest.fixture(params=["blocking", "on the loop"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test's commits made blocking, as commands do, and on an event loop, as the service does."""
    if request.param == "on the loop":
        monkeypatch.setattr(PostgresLedger, "commit", lambda ledger, *batch: asyncio.run(ledger.commit_async(*batch)))


def outcomes(ledger: PostgresLedger, *entries: Entry) -> list[Outcome]:
    return [verdict.outcome for verdict in ledger.commit(entries).verdicts]


def refused(url: str) -> str:
    with pytest.raises(StorageError) as raised, opened(url):
        pass
    return raised.value.kind


@contextmanager
def set_for_database(url: str, setting: str, value: str) -> Iterator[None]:
    """Set something for every new session of one database."""
    name = url.rpartition("/")[2]
    run_sql(url, f"ALTER DATABASE {name} SET {setting} = {value}")
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"ALTER DATABASE {name} RESET {setting}".encode())


def backends(url: str, more: str = "") -> list[int]:
    """Return the server's processes that work for the ledger."""
    statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postback'"
    return [int(str(row[0])) for row in run_sql(url, f"{statement} {more}")]


def terminate(url: str) -> None:
    for pid in backends(url):
        run_sql(url, "SELECT pg_terminate_backend(%s, 5000)", pid)


def works(ledger: PostgresLedger) -> bool:
    try:
        return outcomes(ledger, builders.postback()) != []
    except StorageError:
        return False
