"""Owns the paired benchmark of one worker against several, on one PostgreSQL: `python -m tests.load.workers [rounds]`.

In turns (ABBA: what drifts meets both alike), each pair a ratio. Beside it what sizing needs: WAL, disk and
transactions of a postback. Load, workers and server share this machine's processors, so the ratio says what a second
worker costs where none is to spare, and nothing of where some are. Needs wrk.

Each pair twice: with the load as any program, and as a batch job (SCHED_BATCH), which waits for its turn. The load of
one worker has a processor of its own; that of two wakes up on a worker's, for every answer, and pushes it off: ten
times the context switches. A sender on another machine does no such thing.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.load.peers import ours, running
from tests.load.wrk import put_load
from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import PostgresServer

SECONDS, CONNECTIONS, WORKERS = 6, 64, 2
_LOADS = {"load as any program": os.SCHED_OTHER, "load as a batch job": os.SCHED_BATCH}
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
_TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_ROWS = "SELECT count(*) FROM conversion"
_BYTES = "SELECT pg_total_relation_size('conversion'), pg_indexes_size('conversion')"


@dataclass(frozen=True, slots=True)
class Run:
    """What one burst came to: postbacks a second, and of each postback WAL bytes and transactions."""

    rate: float
    p99_ms: float
    wal: float
    transactions: float


@contextmanager
def serving(server: PostgresServer, database: str, workers: int) -> Iterator[int]:
    """Run the service with so many workers; give its port."""
    scratch = Path(tempfile.mkdtemp(prefix="postback-bench-"))
    peer = ours(scratch, scratch / "unused.db")
    settings = {
        "DATABASE_URL": server.url(database),
        "MIGRATE": "true",
        "WORKERS": str(workers),
        "OPERATOR_PORT": "0",
    }
    named = {f"POSTBACK_{name}": value for name, value in settings.items()}
    asked = (peer.port, "/healthz", 200)
    with running(replace(peer, environment={**peer.environment, **named}, database=None, ready=asked)) as service:
        wait_for(lambda: '"listening"' in peer.log.read_text(encoding="utf-8"), 60)  # all workers, not only the first
        put_load(service.peer.port, CONNECTIONS, 1)  # to warm up
        yield service.peer.port


@contextmanager
def scheduled(policy: int) -> Iterator[None]:
    """Start programs under a scheduling policy."""
    os.sched_setscheduler(0, policy, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def measure(server: PostgresServer, database: str, workers: int, policy: int = os.SCHED_OTHER) -> Run:
    """Load a service that was started for this, and count what the server did for it."""

    def counted() -> list[int]:
        return [int(str(server.sql(what, database=database)[0][0])) for what in (_ROWS, _WAL, _TRANSACTIONS)]

    with serving(server, database, workers) as port:
        before = counted()
        with scheduled(policy):
            load = put_load(port, CONNECTIONS, SECONDS)
        rows, wal, transactions = (after - was for was, after in zip(before, counted(), strict=True))
    print(f"  {workers} workers: {load.rate:,.0f}/s, p99 {load.p99_ms:.1f} ms, {load.status_errors} errors", flush=True)  # noqa: T201
    return Run(load.rate, load.p99_ms, wal / rows, transactions / rows)


def main(rounds: int) -> int:
    """Print each pair, the median of the ratios, and what a postback costs the server."""
    pairs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in _LOADS}
    with PostgresServer({"max_wal_size": "2GB", "shared_buffers": "256MB"}) as server:
        database = server.new_database()
        for number in range(rounds):
            order = (1, WORKERS) if number % 2 == 0 else (WORKERS, 1)
            for name, policy in _LOADS.items():
                print(f"{name}:", flush=True)  # noqa: T201
                runs = {workers: measure(server, database, workers, policy) for workers in order}
                pairs[name].append((runs[1], runs[WORKERS]))
        rows = int(str(server.sql(_ROWS, database=database)[0][0]))
        total, indexes = (int(str(size)) for size in server.sql(_BYTES, database=database)[0])
    for name, found in pairs.items():
        ratios = sorted(several.rate / one.rate for one, several in found)
        print(  # noqa: T201
            f"{WORKERS} workers / 1 worker, {name}: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to "
            f"{ratios[-1]:.2f}, of {rounds} pairs on {os.cpu_count()} processors shared with load and PostgreSQL"
        )
    each = [run for found in pairs.values() for pair in found for run in pair]
    print(  # noqa: T201
        f"a postback costs {statistics.median(run.wal for run in each):,.0f} bytes of WAL, "
        f"{total / rows:,.0f} bytes on disk ({indexes / rows:,.0f} of them indexes), "
        f"{statistics.median(run.transactions for run in each):.3f} transactions; {rows:,} rows"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 6))
