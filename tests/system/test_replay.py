"""Replay from outside, on both engines: beside the service where that is safe, and its books balance afterwards."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, command
from tests.support.outside.postgres import PostgresServer, run_sql

pytestmark = [pytest.mark.system, pytest.mark.proof]

REFUSED = ("c=broken&value=x", "c=late&value=3,50", "c=late&value=3,50")
FIXED = "GET /postback?c=late&value=3.50"  # what today's rules would accept: a rule is not easily mended from outside
COUNTS = "SELECT (SELECT count(*) FROM conversion), (SELECT count(*) FROM duplicate), (SELECT count(*) FROM replay)"


def replay(directory: Path, url: str, *options: str) -> tuple[int, dict[str, int], str]:
    """Return the exit code, what changed by its new outcome, and what was said to stderr."""
    ended = command(directory, url, "replay", "--json", *options)
    steps = json.loads(ended.stdout)["steps"] if ended.stdout else []
    return ended.returncode, {step["after"]: step["count"] for step in steps if step["changes"]}, ended.stderr


def arrivals(service: Service) -> None:
    assert service.postback("came").status == 200
    assert [service.get(f"/postback?{query}").status for query in REFUSED] == [400] * 3


def test_beside_a_service_on_postgresql_it_stores_once_and_the_books_balance(
    tmp_path: Path, server: PostgresServer
) -> None:
    url = server.url(server.new_database())
    with Service(tmp_path, {"DATABASE_URL": url, "MIGRATE": "true"}) as service:
        arrivals(service)
        received_at = service.sql("SELECT min(received_at) FROM rejected_postback WHERE click_id = 'late'")
        assert replay(tmp_path, url, "--dry-run") == (0, {}, "")
        run_sql(url, f"UPDATE rejected_postback SET raw = '{FIXED}' WHERE click_id = 'late'")  # noqa: S608 - our own text
        assert replay(tmp_path, url, "--dry-run") == (0, {"stored": 1, "duplicate": 1}, "")
        assert service.sql(COUNTS) == [(1, 0, 0)]
        assert replay(tmp_path, url, "--yes") == (0, {"stored": 1, "duplicate": 1}, "")
        assert replay(tmp_path, url, "--yes") == (0, {}, "")
        assert service.sql(COUNTS) == [(2, 1, 2)]
        assert service.sql("SELECT received_at FROM conversion WHERE click_id = 'late'") == received_at
        assert service.postback("late", "3.50").outcome == "duplicate"
        examined = plainly(tmp_path, "--json", **settings_of(service))
        assert examined.named("wrong") == set()
        assert examined.check("rows_counted")[0] == "ok"
        assert examined.check("outcomes_counted")[0] == "ok"


def test_beside_a_service_on_sqlite_it_is_refused_and_afterwards_it_is_done(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        arrivals(service)
        url = service.database_url
        assert replay(tmp_path, url, "--dry-run")[0] == 0
        code, changed, said = replay(tmp_path, url, "--yes")
        assert (code, changed) == (2, {})
        assert "stop the service first" in said
        assert service.terminate(signal.SIGTERM) == 0
    with closing(sqlite3.connect(service.database)) as connection, connection:
        connection.execute("UPDATE rejected_postback SET raw = CAST(? AS BLOB) WHERE click_id = 'late'", [FIXED])
    assert replay(tmp_path, url, "--yes") == (0, {"stored": 1, "duplicate": 1}, "")
    with Service(tmp_path) as service:
        assert service.sql(COUNTS) == [(2, 1, 2)]
        assert service.postback("late", "3.50").outcome == "duplicate"
        examined = plainly(tmp_path, "--json", **settings_of(service))
        assert examined.named("wrong") == set()
        assert examined.check("foreign_rows")[0] == "ok"
