"""Owns the proof that a pooler in transaction mode between service and server changes nothing (Debian's 1.18)."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.outside import postgres
from tests.support.outside.harness import Service, command, wait_for
from tests.support.outside.ledger import Ledger, run, run_until
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.outside.tools import need, search_path

pytestmark = [pytest.mark.system, pytest.mark.faults]

CONNECTIONS = 24
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres pool_size=2
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
server_lifetime = 1
server_idle_timeout = 1
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def pooled(server: PostgresServer, database: str) -> Iterator[str]:
    """Run PgBouncer in front of a server; give the URL of a database through it."""
    need("pgbouncer")
    port = postgres.free_port()
    configuration = server.directory / f"pgbouncer-{port}.ini"
    configuration.write_text(CONFIGURATION.format(server=server.port, port=port), encoding="utf-8")
    url = server.url(database).replace(f":{server.port}/", f":{port}/")
    with (server.directory / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(
            ["pgbouncer", str(configuration)],
            stdout=log,
            stderr=log,
            env={"PATH": search_path()},
            user=postgres.user(),
            group=postgres.group(),
            extra_groups=postgres.groups(),
        )
    try:
        wait_for(lambda: answers(url), 20)
        yield url
    finally:
        process.kill()
        process.wait()


async def together(*work: Awaitable[None]) -> None:
    await asyncio.gather(*work)


def answers(url: str) -> bool:
    try:
        return run_sql(url, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def test_behind_a_pooler_nothing_is_lost_or_doubled_while_it_changes_connections(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """Two replicas on two server connections that change every second: what a session keeps would be mixed up."""
    with PostgresServer() as server:
        database = server.new_database()
        first, second = Ledger("first", seed=7), Ledger("second", seed=8)
        with (
            pooled(server, database) as url,
            Service(tmp_path, {"DATABASE_URL": url, "MIGRATE": "true", "SPOOL": "off"}) as one,
            Service(tmp_path, {"DATABASE_URL": url, "SPOOL": "off"}) as two,
        ):
            pressing = (first.press(one.public, CONNECTIONS), second.press(two.public, CONNECTIONS))

            def stop() -> None:
                for service in (one, two):
                    service.send_signal(signal.SIGTERM)

            run_until(together(*pressing), 2.5, stop)
            rows = run_sql(server.url(database), "SELECT click_id, value FROM conversion")
        stored = {str(click_id): value for click_id, value in rows}
        sent = first.sent | second.sent
        assert first.acknowledged | second.acknowledged <= stored.keys()
        assert stored.items() <= sent.items()
        assert max((first.stored_answers + second.stored_answers).values()) == 1
        assert (first.answers + second.answers).keys() <= {"stored", "duplicate"}
    figures(f"through PgBouncer: {dict(first.answers + second.answers)}, 0 lost, 0 doubled, no 503")


def test_through_a_pooler_too_a_moment_of_the_year_1_is_read_in_utc(tmp_path: Path) -> None:
    """West of UTC it has no text that the driver could read."""
    with PostgresServer({"timezone": "America/New_York"}) as server:
        database = server.new_database()
        with pooled(server, database) as url:
            assert command(tmp_path, url, "migrate", "up").returncode == 0
            run_sql(server.url(database), ANCIENT)
            for arguments in (("export",), ("lookup", "ancient")):
                ended = command(tmp_path, url, *arguments)
                assert (ended.returncode, ended.stderr) == (0, "")
                assert "0001-01-01" in ended.stdout


ANCIENT = """
    INSERT INTO conversion (sender, is_test, click_id, goal, transaction_id, value, value_micros, params, received_at,
        request_id, door)
    VALUES ('ezmob', false, 'ancient', '', '', '1', 1000000, '{}', '0001-01-01 00:00:00+00', 'r', 'import')
"""


def test_migrations_and_a_start_work_behind_a_pooler_too(tmp_path: Path) -> None:
    with (
        PostgresServer() as server,
        pooled(server, server.new_database()) as url,
        Service(tmp_path, {"DATABASE_URL": url, "MIGRATE": "true"}) as service,
    ):
        ledger = Ledger("pooled", seed=7)
        run(ledger.press_in_turn(service.public, 20))
        assert ledger.check_against(service) == ledger.sent
