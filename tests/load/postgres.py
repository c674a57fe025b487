"""Owns the paired benchmark on PostgreSQL: the service against pgbench's own single-row inserts into the same table.

Both on the same server, in turns (ABBA: what drifts meets both alike): `python -m tests.load.postgres [rounds]`.
pgbench inserts prepared rows from 32 clients, each row a transaction of its own; the service takes postbacks over 64
connections. Needs wrk; pgbench comes with the server.
"""

import re
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.load.peers import OURS, Server, ours, running
from tests.load.wrk import put_load
from tests.system.postgres import PostgresServer

SECONDS = 8
CLIENTS, CONNECTIONS = 32, 64
_INSERT = """\\set n random(1, 9000000000000000000)
INSERT INTO conversion (sender, is_test, click_id, goal, transaction_id, value, value_micros, currency, params,
    received_at, request_id, door)
VALUES ('ezmob', false, 'pgbench-' || :n, '', '', '1.50', 1500000, NULL, '{}', now(), md5(:n::text), 'postback')
ON CONFLICT DO NOTHING;
"""


def measure_pgbench(server: PostgresServer, database: str, script: Path) -> float:
    """Return how many rows a second pgbench inserts."""
    options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-f", str(script)]
    told = server.program("pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", *options, database)
    found = re.search(r"^tps = ([\d.]+)", told, re.MULTILINE)
    assert found, told
    return float(found[1])


def measure_ours(service: Server) -> float:
    """Return how many postbacks a second the service stores."""
    load = put_load(service.peer.port, CONNECTIONS, SECONDS)
    print(f"  ours: {load.rate:,.0f}/s, p99 {load.p99_ms:.1f} ms, {load.status_errors} errors", flush=True)  # noqa: T201
    return load.rate


def main(rounds: int) -> int:
    """Print each pair, and the median of their ratios."""
    scratch = Path(tempfile.mkdtemp(prefix="postback-bench-"))
    with PostgresServer({"max_wal_size": "2GB", "shared_buffers": "256MB"}) as server:
        script = server.directory / "insert.sql"
        script.write_text(_INSERT, encoding="utf-8")
        database = server.new_database()
        peer = ours(scratch, scratch / "unused.db")
        settings = {"POSTBACK_DATABASE_URL": server.url(database), "POSTBACK_MIGRATE": "true"}
        peer = replace(peer, name=OURS, environment={**peer.environment, **settings}, database=None)
        ratios = []
        with running(peer) as service:
            measure_ours(service)  # to warm up
            for number in range(rounds):
                if number % 2:
                    theirs, own = measure_pgbench(server, database, script), measure_ours(service)
                else:
                    own, theirs = measure_ours(service), measure_pgbench(server, database, script)
                ratios.append(own / theirs)
                print(f"round {number + 1}: pgbench {theirs:,.0f}/s, ratio {ratios[-1]:.2f}", flush=True)  # noqa: T201
        rows = server.sql("SELECT count(*) FROM conversion", database=database)[0][0]
        print(f"median ratio {statistics.median(ratios):.2f} of {rounds} pairs; {rows:,} rows")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 6))
