"""Replicas that store the same: they agree on the winner, and none waits for another without need."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from service.core.outcome import Outcome
from service.core.verdict import Probe
from service.storage.postgres.database import PostgresDatabase
from service.storage.postgres.ledger import PostgresLedger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.outside.harness import wait_for
from tests.support.postgres_ledger import (
    IN_TIME,
    at,
    backends,
    opened,
    outcomes,
)


@pytest.mark.usefixtures("both_ways")
def test_replicas_that_store_the_same_keys_at_the_same_time_agree_on_the_winner(postgres_url: str) -> None:
    replicas, rounds, keys = 3, 30, 20

    def replica(number: int) -> list[list[Outcome]]:
        order = range(keys) if number % 2 else range(keys - 1, -1, -1)
        with opened(postgres_url) as ledger:
            return [
                outcomes(ledger, *(builders.postback(f"c={round_}-{key}&value=1") for key in order))
                for round_ in range(rounds)
            ]

    with ThreadPoolExecutor(replicas) as pool:
        told = [outcome for replica in pool.map(replica, range(replicas)) for batch in replica for outcome in batch]
    assert told.count(Outcome.STORED) == rounds * keys
    assert told.count(Outcome.DUPLICATE) == rounds * keys * (replicas - 1)
    assert Engine(postgres_url).rows("SELECT count(*) FROM duplicate") == [(rounds * keys * (replicas - 1),)]


def test_probes_of_many_replicas_do_not_wait_for_one_row(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        ledger.commit([Probe(datetime.now(UTC))])
        other.execute("SELECT 1 FROM write_probe FOR UPDATE")  # a replica whose commit waits
        with opened(postgres_url) as second:
            second._probe = ledger._probe % 64 + 1  # noqa: SLF001 - chance may have given both the same
            assert outcomes(second, Probe(datetime.now(UTC))) == [Outcome.STORED]


def test_keys_are_taken_in_their_order_whatever_the_order_of_arrival(postgres_url: str) -> None:
    """Two replicas that took the same keys in opposite orders would wait for each other."""
    take = "INSERT INTO conversion SELECT 'ezmob', false, %s, '', '', '1', 1, NULL, '{}', now(), 'x', 'postback'"
    batch = [builders.postback("c=b&value=1"), builders.postback("c=a&value=1")]
    with opened(postgres_url) as ledger, ThreadPoolExecutor(1) as thread, psycopg.connect(postgres_url) as other:
        other.execute(take, ["b"])
        waiting = thread.submit(ledger.commit, batch)
        assert wait_for(lambda: backends(postgres_url, "AND wait_event_type = 'Lock'"), IN_TIME)
        with psycopg.connect(postgres_url, options="-c lock_timeout=50") as third:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                third.execute(take, ["a"])
            third.rollback()
        other.rollback()
        assert [verdict.outcome for verdict in waiting.result().verdicts] == [Outcome.STORED] * 2


def test_replicas_choose_their_probe_by_chance(postgres_url: str) -> None:
    place = at(postgres_url)
    migrations = PostgresDatabase(place).migrations()
    assert len({PostgresLedger(place, migrations)._probe for _ in range(50)}) > 10  # noqa: SLF001 - nobody sees it
