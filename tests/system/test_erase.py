"""`erase` from outside, on both engines: beside the service where that is safe; nothing is left, the books balance."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, command
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.proof]

PERSON = "person-4711"
COUNTS = """
    SELECT (SELECT count(*) FROM conversion), (SELECT count(*) FROM duplicate), (SELECT count(*) FROM rejected_postback)
"""
DELETED = {"conversion": 1, "status_change": 0, "duplicate": 2, "rejected_postback": 3, "correction": 0, "replay": 0}


def arrivals(service: Service) -> None:
    """Send a person's postbacks in every way, and another's."""
    for click_id in (PERSON, "another-person"):
        outcomes = [service.postback(click_id, value).outcome for value in ("1", "1", "1", "2", "x")]
        assert outcomes == ["stored", "duplicate", "duplicate", "conflict", "invalid_value"]
    assert service.get(f"/postback?c=a&c={PERSON}").outcome == "repeated_parameter"


def erase(directory: Path, url: str, *options: str) -> tuple[int, dict[str, object], str]:
    ended = command(directory, url, "erase", PERSON, "--json", *options)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


def test_beside_a_service_on_postgresql_everything_goes_and_the_books_balance(
    tmp_path: Path, server: PostgresServer
) -> None:
    url = server.url(server.new_database())
    with Service(tmp_path, {"DATABASE_URL": url, "MIGRATE": "true"}) as service:
        arrivals(service)
        code, answer, _ = erase(tmp_path, url, "--dry-run")
        assert (code, answer["deleted"], answer["done"]) == (0, {}, False)
        assert service.sql(COUNTS) == [(2, 4, 5)]
        code, answer, said = erase(tmp_path, url, "--yes", "--by", "maria")
        assert (code, answer["deleted"], said) == (0, DELETED, "")
        assert service.sql(COUNTS) == [(1, 2, 2)]
        examined = plainly(tmp_path, "--json", **settings_of(service))
        assert examined.named("wrong") == set()
        assert "less 6 that were deleted" in examined.check("rows_counted")[1]
        assert service.postback(PERSON, "9").outcome == "stored"
        listed = json.loads(command(tmp_path, url, "deletions", "--click-id", PERSON, "--json").stdout)["deletions"]
        assert sum(one["rows"] for one in listed) == 6
        assert {one["deleted_by"] for one in listed} == {"maria"}


def test_beside_a_service_on_sqlite_it_is_refused_and_afterwards_no_trace_is_left(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        arrivals(service)
        url = service.database_url
        code, _, said = erase(tmp_path, url, "--yes")
        assert code == 2
        assert "stop the service first, then erase" in said
        assert erase(tmp_path, url, "--dry-run")[0] == 0
        service.send_signal(signal.SIGKILL)  # leaves a write-ahead log
        service.wait()
    assert holding(service) == {"p.db-wal"}
    code, answer, _ = erase(tmp_path, url, "--yes")
    assert (code, answer["deleted"]) == (0, DELETED)
    assert holding(service) == set()
    with Service(tmp_path) as service:
        assert service.sql(COUNTS) == [(1, 2, 2)]
        assert service.postback(PERSON, "9").outcome == "stored"
        assert plainly(tmp_path, "--json", **settings_of(service)).named("wrong") == set()


def holding(service: Service) -> set[str]:
    """Return the database's files that hold the click id."""
    return {path.name for path in service.directory.glob("p.db*") if PERSON.encode() in path.read_bytes()}
