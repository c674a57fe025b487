"""One verdict on PostgreSQL: a late commit cannot put a second one beside the first, and nobody's erasure is undone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.core.judging import Manner, Part
from service.core.verdict import ERASED, Entry
from service.storage.deletions.book import Reason
from service.storage.erased_hashes import sha256
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.ledger import PostgresLedger
from tests.support import builders
from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import run_sql
from tests.support.postgres_ledger import IN_TIME, backends, opened

_ALL = """
    SELECT request_id FROM conversion UNION ALL SELECT request_id FROM status_change
    UNION ALL SELECT request_id FROM duplicate UNION ALL SELECT request_id FROM rejected_postback
"""


def mixed() -> list[Entry]:
    queries = ["c=a&value=1", "c=a&value=1", "c=a&value=2", "c=a&value=2&conversion_status=approved"]
    return [*map(builders.postback, queries), builders.rejection()]


def told(ledger: PostgresLedger, entries: list[Entry], manner: Manner = Manner.NEW) -> list[str]:
    parts = [] if manner is Manner.NEW else [Part(0, len(entries), manner)]
    return [verdict.outcome.value for verdict in ledger.commit(entries, parts).verdicts]


class Halting(AsyncServerConnection):
    """A connection that does something before it sends its first COMMIT."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.AsyncCursor[tuple[object, ...]]:
        """Carry it out."""
        if query == b"COMMIT":
            self.before_commit()
        return await super().execute(query, params, **options)

    def before_commit(self) -> None:
        """Do it."""


def test_whoever_looks_up_what_was_recorded_waits_for_a_commit_that_is_under_way(postgres_url: str) -> None:
    """Judged beside it, the conflict would be a duplicate: the change between them is stored by somebody else."""
    reached, released = threading.Event(), threading.Event()

    class Late(Halting):
        def before_commit(self) -> None:
            reached.set()
            assert released.wait(IN_TIME)

    batch = mixed()
    with opened(postgres_url) as other, opened(postgres_url, connect=Late.to) as late, ThreadPoolExecutor(2) as threads:
        other.commit([builders.postback("c=a&value=1")])
        first = threads.submit(told, late, batch)
        assert reached.wait(IN_TIME)
        again = threads.submit(told, other, batch, Manner.AGAIN)
        wait_for(lambda: backends(postgres_url, "AND wait_event = 'advisory'"), IN_TIME)
        released.set()
        assert again.result() == first.result()
        assert again.result()[:3] == ["duplicate", "duplicate", "conflict"]
    ids = run_sql(postgres_url, _ALL)
    assert len(ids) == len(set(ids)) == len(batch) + 1


def test_a_commit_that_fails_in_a_way_that_nobody_understands_leaves_nothing(postgres_url: str) -> None:
    failures = [RuntimeError("nobody knows")]

    class Failing(Halting):
        def before_commit(self) -> None:
            if failures:
                raise failures.pop()

    with opened(postgres_url, connect=Failing.to) as ledger:
        with pytest.raises(RuntimeError):
            ledger.commit(mixed())
        assert run_sql(postgres_url, _ALL) == []
        assert told(ledger, mixed())[0] == "stored"


@pytest.mark.parametrize("click_id", ["a", "new"])
def test_what_arrived_before_its_click_id_was_erased_is_not_stored_and_who_came_with_it_is(
    postgres_url: str, click_id: str
) -> None:
    erased_at = datetime.now(UTC)
    before, after = erased_at - timedelta(seconds=1), erased_at + timedelta(seconds=1)
    with opened(postgres_url) as ledger:
        ledger.commit([builders.postback("c=a&value=1", received_at=before)])
        note_erasure(postgres_url, click_id, erased_at)
        batch: list[Entry] = [
            builders.postback(f"c={click_id}&value=1", received_at=before),
            builders.rejection(click_id=click_id, received_at=before),
            builders.postback("c=another&value=1", received_at=before),
            builders.postback(f"c={click_id}&value=1&goal=x", received_at=after),
            builders.postback(f"c={click_id}&value=1&goal=y", received_at=before, door="import"),
        ]
        done = ledger.commit(batch)
    assert [verdict is ERASED for verdict in done.verdicts] == [True, True, False, False, False]
    assert (done.rows["conversion"], sum(done.rows.values())) == (3, 3)
    stored = {request_id for (request_id,) in run_sql(postgres_url, _ALL)}
    assert [entry.raw.request_id in stored for entry in batch if hasattr(entry, "raw")] == [False] * 2 + [True] * 3


def test_new_conversions_alone_are_not_stored_either(postgres_url: str) -> None:
    erased_at = datetime.now(UTC)
    with opened(postgres_url) as ledger:
        note_erasure(postgres_url, "a", erased_at)
        (verdict,) = ledger.commit([builders.postback("c=a&value=1", received_at=erased_at)]).verdicts
        assert verdict is ERASED
    assert run_sql(postgres_url, _ALL) == []


def test_what_was_drained_says_when(postgres_url: str) -> None:
    batch = mixed()
    with opened(postgres_url) as ledger:
        ledger.commit(batch, [Part(0, len(batch), Manner.DRAINED)])
        ledger.commit([builders.postback("c=live&value=1")])
    for table, drained, live in (("conversion", 1, 1), ("status_change", 1, 0), ("rejected_postback", 2, 0)):
        counted = f"SELECT count(drained_at), count(*) - count(drained_at) FROM {table}"  # noqa: S608 - our own names
        assert run_sql(postgres_url, counted) == [(drained, live)]


def note_erasure(url: str, click_id: str, at: datetime) -> None:
    run_sql(
        url,
        "INSERT INTO deletion VALUES ('run', 'conversion', %s, 'stored', '', 1, %s, %s, 'me', %s, %s)",
        *(Reason.ERASE.value, at, at, at, sha256(click_id)),
    )
