"""Erasure and retention on PostgreSQL, beside commits on the same keys: one after the other, whoever comes first.

The commits are those of a ledger in short: lock the conversion, write what belongs to it, commit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import TypeVar

import psycopg
import pytest
from sqlalchemy import Connection

from service.core.postback import ConversionKey
from service.core.unavailable import StorageError
from service.core.verdict import ERASED, Entry
from service.storage.database import database_at
from service.storage.deletions.deleting import Removed
from service.storage.erased_hashes import sha256
from service.storage.erasure import Whose
from service.storage.postgres.database import PostgresDatabase
from service.storage.schema.registry import OF_POSTBACKS
from tests.support import builders
from tests.support.outside.postgres import run_sql

T = TypeVar("T")
KEY: ConversionKey = ("ezmob", False, "a", "", "")
NOW = builders.RECEIVED_AT + timedelta(days=100)
PATIENCE = 20.0
LOOK_AT = "SELECT 1 FROM conversion WHERE click_id = 'a' FOR KEY SHARE"
NOW_THERE = "SELECT clock_timestamp()"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
REPEAT = """
    INSERT INTO duplicate (sender, is_test, click_id, goal, transaction_id, received_at, request_id, door)
    SELECT sender, is_test, click_id, goal, transaction_id, received_at, 'repeat', door FROM conversion
"""
BOOKED = """
    INSERT INTO deletion (run, table_name, reason, outcome, process, rows, first_received_at, last_received_at,
        deleted_by, deleted_at, click_id_sha256)
    VALUES ('erase 1', 'conversion', 'erase', 'stored', '', 1, now(), now(), 'me', now(), %s)
"""


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgresDatabase]:
    """Give a database with one conversion."""
    opened = database_at(postgres_url)
    assert isinstance(opened, PostgresDatabase)
    ledger = opened.ledger()
    ledger.open()
    ledger.commit([builders.postback("c=a&value=1")])
    ledger.close()
    yield opened
    opened.close()


@contextmanager
def beside(work: Callable[[], T]) -> Iterator["Future[T]"]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def until(url: str, statement: str, wanted: int) -> None:
    """Wait for the number that a query returns."""
    end = monotonic() + PATIENCE
    while run_sql(url, statement)[0][0] != wanted:
        assert monotonic() < end, statement
        sleep(0.01)


def rows(url: str) -> list[int]:
    tables = ("conversion", "duplicate", "deletion")
    return [int(str(run_sql(url, f"SELECT count(*) FROM {table}")[0][0])) for table in tables]  # noqa: S608 - our own names


def forget(database: PostgresDatabase) -> Removed:
    return database.deletions().remove_conversions(KEY, KEY, NOW, NOW)


def test_an_erasure_waits_for_a_commit_and_takes_what_that_wrote(postgres_url: str, database: PostgresDatabase) -> None:
    erasure = database.erasure()
    with psycopg.connect(postgres_url) as live:
        live.execute(LOOK_AT)
        with beside(lambda: erasure.erase(Whose(("a",)), [], "me", NOW)) as erased:
            until(postgres_url, WAITING, 1)
            live.execute(REPEAT)
            live.commit()
            counted = erased.result(PATIENCE)
    assert isinstance(counted, dict)
    assert {table: number for table, number in counted.items() if number} == {"conversion": 1, "duplicate": 1}
    assert rows(postgres_url)[:2] == [0, 0]


def test_a_commit_that_holds_the_tables_for_long_ends_the_erasure_and_nothing_is_deleted(
    postgres_url: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_url) as live:
        live.execute(LOOK_AT)
        with pytest.raises(StorageError, match="nothing is erased, because others hold the tables"):
            database.erasure().erase(Whose(("a",)), [], "me", NOW)
    assert rows(postgres_url) == [1, 0, 0]


def test_the_moment_of_an_erasure_is_read_when_nobody_can_write(postgres_url: str, database: PostgresDatabase) -> None:
    moment, held = NOW + timedelta(seconds=1), []

    def clock(_: Connection) -> datetime:
        locked = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'ExclusiveLock' AND locktype = 'relation'"
        held.append(run_sql(postgres_url, locked)[0][0])
        return moment

    database.erasure(clock=clock).erase(Whose(("a",)), [], "me", NOW)
    assert held == [4]
    assert {entry.deleted_at for entry in database.deletions().book(9)} == {moment}


def test_an_erasure_is_dated_by_the_servers_clock_and_not_by_who_asked_for_it(
    postgres_url: str, database: PostgresDatabase
) -> None:
    before = run_sql(postgres_url, NOW_THERE)[0][0]
    database.erasure().erase(Whose(("a",)), [], "me", NOW + timedelta(days=500))
    after = run_sql(postgres_url, NOW_THERE)[0][0]
    between = "SELECT count(*) FROM deletion WHERE deleted_at BETWEEN %s AND %s"
    assert run_sql(postgres_url, between, before, after) == [(1,)]


def test_an_erasure_that_found_nothing_is_noted_so_that_what_is_on_its_way_can_be_refused(
    database: PostgresDatabase,
) -> None:
    database.erasure().erase(Whose(("b",)), [], "me", NOW)
    (entry,) = database.deletions().book(9)
    assert (entry.rows, entry.click_id_sha256) == (0, sha256("b"))


def test_retention_leaves_a_conversion_that_a_commit_looks_at_and_then_what_that_wrote_keeps_it(
    postgres_url: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_url) as live:
        live.execute(LOOK_AT)
        assert forget(database).rows == 0
        live.execute(REPEAT)
    assert forget(database).rows == 0
    assert rows(postgres_url) == [1, 1, 0]


def test_a_commit_waits_for_retention_and_then_finds_the_conversion_gone(
    postgres_url: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_url) as book, psycopg.connect(postgres_url) as live:
        book.execute("LOCK TABLE deletion IN EXCLUSIVE MODE")  # stops it after it deleted, before it commits
        with beside(lambda: forget(database)) as removed:
            until(postgres_url, WAITING, 1)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                live.execute(f"{LOOK_AT} NOWAIT")
            live.rollback()
            book.rollback()
            assert removed.result(PATIENCE) == Removed(1, 0)
        assert live.execute(LOOK_AT).fetchall() == []


@pytest.mark.parametrize("again", [False, True], ids=["new", "repeated"])
def test_a_commit_that_waits_for_an_erasure_is_judged_by_what_that_wrote(
    postgres_url: str, database: PostgresDatabase, *, again: bool
) -> None:
    """Both arrived before it. What is left to judge is read after the wait, the book as well."""
    entries: list[Entry] = [builders.postback("c=a&value=1"), *([builders.rejection(click_id="a")] if again else [])]
    ledger = database.ledger(PATIENCE)
    ledger.open()
    locked = f"LOCK TABLE {', '.join(table.name for table in OF_POSTBACKS)} IN EXCLUSIVE MODE"
    with psycopg.connect(postgres_url) as erasing:
        erasing.execute(locked)
        with beside(lambda: ledger.commit(entries).verdicts) as verdicts:
            until(postgres_url, WAITING, 1)
            erasing.execute("DELETE FROM conversion")
            erasing.execute(BOOKED, [sha256("a")])
            erasing.commit()
            assert verdicts.result(PATIENCE) == [ERASED] * len(entries)
    ledger.close()
    assert rows(postgres_url) == [0, 0, 1]
