"""Owns the paired benchmarks on PostgreSQL: `python -m tests.load.postgres --help`.

Everything on one server of its own, in turns (ABBA: what drifts meets both alike), each pair a ratio; load, service and
server share this machine's processors. Needs wrk; pgbench comes with the server. Timing is never judged: exit code 1
only says that postbacks were lost or refused.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import psycopg

from service.core.postback import Postback
from service.storage.database import database_at
from service.storage.ledger import MAX_BATCH
from tests.load.batch import send_batch
from tests.load.importing import unordered
from tests.load.peers import Peer, fastapi_sqlmodel, ours, running
from tests.load.wrk import put_load
from tests.support import builders
from tests.support.outside.postgres import PostgresServer

SECONDS = 8
CLIENTS, CONNECTIONS = 32, 64
SETTINGS = {
    "max_wal_size": "8GB",
    "shared_buffers": "1GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "2GB",
}
LOOKUPS = 2_000
_CHUNK = 1_000_000
_PGBENCH = """\\set n random(1, 9000000000000000000)
INSERT INTO conversion (sender, is_test, click_id, goal, transaction_id, value, value_micros, currency, params,
    received_at, request_id, door)
VALUES ('ezmob', false, 'pgbench-' || :n, '', '', '1.50', 1500000, NULL, '{}', now(), md5(:n::text), 'postback')
ON CONFLICT DO NOTHING;
"""
_PRIMARY_KEY = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'conversion'::regclass AND contype = 'p'
"""
# 32 random hex digits each, like the load's, made of a number so that a look-up can make one again.
_FILL = """
    INSERT INTO conversion (sender, is_test, click_id, goal, transaction_id, value, value_micros, currency, params,
        received_at, request_id, door)
    SELECT 'ezmob', false, md5(n::text), '', '', '1.50', 1500000, NULL, '{}', now(), md5('r' || n), 'postback'
    FROM generate_series(%s::bigint, %s::bigint) AS n
"""


class Ground:
    """A server for a benchmark, and a folder for logs. `broken` gathers what was lost or refused."""

    def __init__(self, server: PostgresServer, scratch: Path) -> None:
        self.server = server
        self.broken: list[str] = []
        self._scratch = scratch

    def migrated(self) -> str:
        """Return a new database with the newest schema."""
        database = self.server.new_database()
        database_at(self.server.url(database)).migrations().up()
        return database

    def service(self, database: str) -> Peer:
        """Return our service on a database of the server."""
        peer = ours(self._scratch, self._scratch / f"{database}.db")
        settings = {"POSTBACK_DATABASE_URL": self.server.url(database), "POSTBACK_SPOOL": "off"}
        return replace(peer, environment={**peer.environment, **settings}, database=None)

    def tutorial(self, database: str) -> Peer:
        """Return FastAPI with a session a request on a database of the server."""
        url = self.server.url(database).replace("postgresql:", "postgresql+psycopg:")
        return replace(fastapi_sqlmodel(self._scratch), environment={"PEER_DATABASE_URL": url})

    def rows(self, database: str) -> int:
        """Count the conversions."""
        return int(str(self.server.sql("SELECT count(*) FROM conversion", database=database)[0][0]))

    @contextmanager
    def loaded(self, peer: Peer, database: str) -> Iterator[Callable[[], float]]:
        """Run a server; give what loads it and returns the rate, after a warm-up."""

        def measure(seconds: int = SECONDS) -> float:
            before = self.rows(database)
            load = put_load(peer.port, CONNECTIONS, seconds)
            grown = self.rows(database) - before
            if load.status_errors or grown < load.accepted:
                self.broken.append(
                    f"{peer.name}: {load.accepted} accepted, {grown} stored, {load.status_errors} refused"
                )
            say(f"  {peer.name}, {database}: {load.rate:,.0f}/s, p99 {load.p99_ms:.1f} ms")
            return load.rate

        with running(peer):
            measure(2)
            yield measure

    def pgbench(self, database: str) -> float:
        """Return how many rows a second pgbench inserts, each a transaction of its own, prepared."""
        script = self.server.directory / "insert.sql"
        script.write_text(_PGBENCH, encoding="utf-8")
        options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-f", str(script)]
        where = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres"]
        told = self.server.program("pgbench", *where, *options, database)
        found = re.search(r"^tps = ([\d.]+)", told, re.MULTILINE)
        assert found, told
        say(f"  pgbench, {database}: {float(found[1]):,.0f}/s")
        return float(found[1])


def single(ground: Ground, rounds: int, _rows: int) -> None:
    """Compare single postbacks with pgbench's inserts into the same table, and with the tutorials' way."""
    database, other = ground.migrated(), ground.server.new_database()
    with (
        ground.loaded(ground.service(database), database) as own,
        ground.loaded(ground.tutorial(other), other) as tutorial,
    ):
        found = in_turns([own, lambda: ground.pgbench(database), tutorial], rounds)
    report("single postbacks / pgbench (>= 0.5, aim 0.8)", ratios(found, 0, 1))
    report("single postbacks / FastAPI + SQLModel (>= 20)", ratios(found, 0, 2))


def batch(ground: Ground, rounds: int, _rows: int) -> None:
    """Measure batches of the group commit's largest size through the ledger, and then requests of 50,000 rows."""
    ledger = database_at(ground.server.url(ground.migrated())).ledger()
    ledger.open()
    rates = []
    for _ in range(rounds):
        batches = [[_new() for _ in range(MAX_BATCH)] for _ in range(400)]
        began = time.perf_counter()
        for entries in batches:
            ledger.commit(entries)
        rates.append(len(batches) * MAX_BATCH / (time.perf_counter() - began))
    ledger.close()
    report(f"rows/s in batches of {MAX_BATCH} (>= 40,000), one connection, without HTTP", rates, ",.0f")
    peer = ground.service(ground.migrated())
    with running(peer):
        pairs = [(send_batch(peer.port), send_batch(peer.port, unordered)) for _ in range(rounds)]
    report("rows/s through HTTP (>= 40,000), ids that grow", [one for one, _ in pairs], ",.0f")
    report("rows/s through HTTP (>= 40,000), random ids", [one for _, one in pairs], ",.0f")


def growth(ground: Ground, rounds: int, rows: int) -> None:
    """Compare an empty table with one that holds millions, and look click ids up in the latter."""
    full = ground.migrated()
    fill(ground.server, full, rows)
    pairs = []
    for number in range(rounds):
        empty = ground.migrated()
        order = (empty, full) if number % 2 == 0 else (full, empty)
        rates = {}
        for database in order:
            ground.server.sql("CHECKPOINT")  # each begins with the dearest seconds: every page is logged whole once
            with ground.loaded(ground.service(database), database) as measure:
                rates[database] = measure()
        pairs.append([rates[full], rates[empty]])
    report(f"insert rate at {rows:,} rows / at none (>= 0.6)", ratios(pairs, 0, 1))
    there = [milliseconds_of_lookup(ground.server.url(full), rows) for _ in range(LOOKUPS)]
    there.sort()
    report("look-up by click id, ms, a connection made for each (p99 <= 20)", there, ".1f")
    say(f"  p50 {there[len(there) // 2]:.1f} ms, p99 {there[len(there) * 99 // 100]:.1f} ms of {LOOKUPS:,}")
    size = ground.server.sql("SELECT pg_size_pretty(pg_total_relation_size('conversion'))", database=full)[0][0]
    say(f"  {ground.rows(full):,} rows, {size}")


def fill(server: PostgresServer, database: str, rows: int) -> None:
    """Insert so many conversions and build the index afterwards, its pages as full as random arrival leaves them."""
    ((name, key),) = server.sql(_PRIMARY_KEY, database=database)
    server.sql(f"ALTER TABLE conversion DROP CONSTRAINT {name}", database=database)
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for first in range(1, rows + 1, _CHUNK):
            last = min(rows, first + _CHUNK - 1)
            connection.execute(_FILL, (first, last))
            say(f"  {last:,} of {rows:,} rows")
        connection.execute(f"ALTER TABLE conversion ADD CONSTRAINT {name} {key} WITH (fillfactor = 70)".encode())
        connection.execute("VACUUM ANALYZE conversion")


def milliseconds_of_lookup(url: str, rows: int) -> float:
    """Ask what `lookup` asks for one click id of many; half of them are there."""
    number = int(token_hex(8), 16) % (2 * rows)
    with psycopg.connect(url) as connection:
        ((click_id,),) = connection.execute("SELECT md5(%s::text)", (number,)).fetchall()
    began = time.perf_counter()
    found = bool(database_at(url).history().arrivals(click_id))
    took = (time.perf_counter() - began) * 1000
    assert found == (1 <= number <= rows)
    return took


def _new() -> Postback:
    return builders.postback(f"c={token_hex(16)}&value=1.50", request_id=token_hex(16), received_at=datetime.now(UTC))


def in_turns(measures: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Measure each once a round, every other round backwards."""
    found = []
    for number in range(rounds):
        indices = range(len(measures)) if number % 2 == 0 else reversed(range(len(measures)))
        found.append([value for _, value in sorted((index, measures[index]()) for index in indices)])
    return found


def ratios(found: Sequence[Sequence[float]], upper: int, lower: int) -> list[float]:
    """Divide pair by pair."""
    return [values[upper] / values[lower] for values in found]


def report(what: str, values: Sequence[float], form: str = ".2f") -> None:
    """Print the median and the extremes."""
    spread = f"{min(values):{form}} to {max(values):{form}}"
    say(f"{what}: median {statistics.median(values):{form}} ({spread}) of {len(values)}")


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)  # noqa: T201 - what the program is for


SECTIONS: dict[str, Callable[[Ground, int, int], None]] = {"single": single, "batch": batch, "growth": growth}


def main() -> int:
    """Measure, print, and say by the exit code whether anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.postgres", description=__doc__)
    parser.add_argument("section", nargs="?", choices=SECTIONS, help="one of them instead of all")
    parser.add_argument("--rounds", type=int, default=5, help="pairs (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=20_000_000, help="of the grown table (default: %(default)s)")
    chosen = parser.parse_args()
    with PostgresServer(SETTINGS) as server, tempfile.TemporaryDirectory(prefix="postback-bench-") as scratch:
        ground = Ground(server, Path(scratch))
        for name in [chosen.section] if chosen.section else SECTIONS:
            SECTIONS[name](ground, chosen.rounds, chosen.rows)
    for broken in ground.broken:
        say(f"BROKEN: {broken}")
    return 1 if ground.broken else 0


if __name__ == "__main__":
    sys.exit(main())
