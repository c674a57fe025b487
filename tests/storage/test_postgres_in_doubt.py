"""Commits in doubt: a lost answer is found out about, and every row is stored, counted and told once."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.core.verdict import Entry
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.ledger import PostgresLedger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import run_sql
from tests.support.postgres_ledger import (
    IN_TIME,
    backends,
    opened,
    outcomes,
)


class Losing(AsyncServerConnection):
    """A connection that is lost after a statement that `after` matches was carried out, and before it was answered."""

    after: bytes | None = None
    times = 1

    async def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.AsyncCursor[tuple[object, ...]]:
        """Carry it out, and lose the answer."""
        cursor: psycopg.AsyncCursor[tuple[object, ...]] = await super().execute(query, params, **options)
        if isinstance(query, bytes) and Losing.after and re.search(Losing.after, query):
            Losing.times -= 1
            Losing.after = Losing.after if Losing.times else None
            self.pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")
        return cursor


@pytest.fixture
def losing(postgres_url: str) -> Iterator[PostgresLedger]:
    with opened(postgres_url, connect=Losing.to) as ledger:
        yield ledger
    Losing.after, Losing.times = None, 1


@pytest.mark.usefixtures("both_ways")
def test_a_commit_in_doubt_is_repeated_and_finds_its_own_row(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    sent = [builders.postback(f"c={click_id}&value=1") for click_id in "ba"]
    Losing.after = b"INSERT INTO conversion"
    committed = losing.commit(sent)
    assert [verdict.outcome for verdict in committed.verdicts] == [Outcome.STORED] * 2
    assert committed.rows["conversion"] == 2  # what the lost try wrote is counted: the books must balance
    assert engine.rows("SELECT count(*) FROM conversion") == [(2,)]


@pytest.mark.usefixtures("both_ways")
def test_a_row_that_was_only_read_is_acknowledged_after_a_commit_of_its_own(
    losing: PostgresLedger, postgres_url: str
) -> None:
    """Reading waits for no standby; a later commit does, and standbys receive commits in order."""
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=before&value=1")])
    assert engine.rows("SELECT count(*) FROM write_probe") == [(0,)]
    Losing.after = b"INSERT INTO conversion"
    losing.commit([builders.postback()])
    assert engine.rows("SELECT count(*) FROM write_probe") == [(1,)]


@pytest.mark.usefixtures("both_ways")
def test_duplicates_and_rejections_in_doubt_are_kept_once(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=a&value=1")])
    batch: list[Entry] = [
        builders.postback("c=a&value=1"),
        builders.postback("c=a&value=2"),
        builders.postback("c=new&value=1"),
        builders.rejection(),
    ]
    Losing.after = b"^COMMIT"
    committed = losing.commit(batch)
    assert [verdict.outcome.value for verdict in committed.verdicts] == [
        "duplicate",
        "conflict",
        "stored",
        "invalid_value",
    ]
    assert committed.rows == {"conversion": 1, "status_change": 0, "duplicate": 1, "rejected_postback": 2}
    counted = [engine.rows(f"SELECT count(*) FROM {table}") for table in committed.rows]  # noqa: S608 - our own names
    assert counted == [[(2,)], [(0,)], [(1,)], [(2,)]]


@pytest.mark.usefixtures("both_ways")
def test_a_change_of_status_in_doubt_is_kept_once_and_counted_once(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=a&value=1&conversion_status=pending")])
    batch = [builders.postback(f"c=a&value=1&conversion_status={status}") for status in ("approved", "refunded")]
    Losing.after = b"^COMMIT"
    committed = losing.commit(batch)
    assert [verdict.outcome for verdict in committed.verdicts] == [Outcome.UPDATED] * 2
    assert committed.rows["status_change"] == 2
    assert engine.rows("SELECT number, conversion_status FROM status_change ORDER BY 1") == [
        (1, "approved"),
        (2, "refunded"),
    ]
    assert engine.rows("SELECT count(*) FROM write_probe") == [(1,)]  # a commit of its own after what was only read


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("statement", [b"INSERT INTO conversion|^COMMIT", b"^COMMIT"])
def test_what_is_durable_of_a_commit_that_failed_is_counted_by_the_next(
    losing: PostgresLedger, postgres_url: str, statement: bytes
) -> None:
    """Nobody knows what became of it until the database answers again; its senders were told 503."""
    failing = [builders.postback(f"c={name}&value=1") for name in "ab"]
    if statement == b"^COMMIT":
        failing.append(builders.postback("c=b&value=2"))
    Losing.after, Losing.times = statement, 9
    with pytest.raises(StorageError):
        losing.commit(failing)
    Losing.after = None
    done = losing.commit([builders.postback("c=next&value=1")])
    assert done.rows["conversion"] == 1
    assert done.late == ({"conversion": 2, "rejected_postback": 1} if len(failing) > 2 else {"conversion": 2})
    assert losing.commit([builders.postback("c=after&value=1")]).late == {}
    assert run_sql(postgres_url, "SELECT count(*) FROM conversion") == [(4,)]


@pytest.mark.usefixtures("both_ways")
def test_a_row_that_was_not_inserted_is_an_error_and_no_receipt(postgres_url: str) -> None:
    run_sql(postgres_url, "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    run_sql(postgres_url, "CREATE TRIGGER lose BEFORE INSERT ON conversion FOR EACH ROW EXECUTE FUNCTION lose()")
    try:
        with opened(postgres_url) as ledger, pytest.raises(StorageError, match="a rule or a trigger is in the way"):
            ledger.commit([builders.postback()])
    finally:
        run_sql(postgres_url, "DROP FUNCTION lose CASCADE")


@pytest.mark.usefixtures("both_ways")
def test_a_conversion_that_is_being_deleted_is_waited_for_and_stored_anew(postgres_url: str) -> None:
    """Retention deletes beside the service."""
    with (
        opened(postgres_url) as ledger,
        ThreadPoolExecutor(1) as thread,
        psycopg.connect(postgres_url) as deleting,
    ):
        ledger.commit([builders.postback()])
        deleting.execute("DELETE FROM conversion")
        again = thread.submit(outcomes, ledger, builders.postback())
        wait_for(lambda: backends(postgres_url, "AND wait_event_type = 'Lock'"), IN_TIME)
        deleting.commit()
        assert again.result() == [Outcome.STORED]
    assert run_sql(postgres_url, "SELECT count(*) FROM conversion") == [(1,)]
