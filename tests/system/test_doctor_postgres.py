"""`doctor` on PostgreSQL, from outside: nothing is wrong with a healthy installation, and what is wrong is told."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import REPOSITORY, Service
from tests.support.outside.postgres import PostgresServer, run_sql

pytestmark = [pytest.mark.system, pytest.mark.proof]


@pytest.fixture
def running(tmp_path: Path, server: PostgresServer) -> Iterator[Service]:
    settings = {"DATABASE_URL": server.url(server.new_database()), "MIGRATE": "true"}
    with Service(tmp_path, settings) as service:
        for query in ("c=a&value=1", "c=b&value=1", "c=a&value=1", "c=b&value=2", "c=d&value=x"):
            assert service.get(f"/postback?{query}").status in (200, 400)
        yield service


def test_nothing_is_wrong_with_a_healthy_service(running: Service) -> None:
    examined = plainly(running.directory, "--json", **settings_of(running))
    assert (examined.named("wrong"), examined.named("warning")) == (set(), {"replication"})
    assert examined.named("not_checked") == {"probe", "disk_lasts"}
    assert examined.report["rows"] == {"stored": 2, "duplicate": 1, "conflict": 1, "invalid_value": 1}


def test_the_documented_checks_are_those_there_are(running: Service) -> None:
    text = (REPOSITORY / "docs" / "doctor.md").read_text(encoding="utf-8")
    examined = plainly(running.directory, "--json", **settings_of(running))
    names = {check["name"] for check in examined.report["checks"]}
    assert set(re.findall(r"^\| \*\*`([a-z_]+)`\*\*", text, re.MULTILINE)) < names


def test_lost_rows_and_a_schema_changed_by_hand_are_found(running: Service) -> None:
    run_sql(running.database_url, "DELETE FROM conversion WHERE click_id = 'a'")
    run_sql(running.database_url, "ALTER TABLE duplicate ADD COLUMN note text")
    examined = plainly(running.directory, "--json", **settings_of(running))
    assert examined.code == 1
    assert examined.named("wrong") >= {"rows_counted", "outcomes_counted", "orphans", "schema"}


def test_the_rows_of_another_replica_are_no_fault(running: Service, tmp_path: Path) -> None:
    with Service(tmp_path, {"DATABASE_URL": running.database_url}) as other:
        assert other.postback("of-another").status == 200
        examined = plainly(running.directory, "--json", **settings_of(running))
    assert examined.named("wrong") == set()


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path, server: PostgresServer) -> None:
    url = server.url("nowhere").replace("@", ":planted-secret@")
    examined = plainly(tmp_path, "--json", "--offline", POSTBACK_DATABASE_URL=url)
    state, sentence = examined.check("connection")
    assert (examined.code, state, examined.named("wrong")) == (1, "wrong", {"connection"})
    assert "restore" not in " ".join(check["advice"] for check in examined.report["checks"])
    for unknown in ("schema", "rows_counted", "disk_lasts", "keys_unused", "erased_rows", "spool_database"):
        assert examined.check(unknown) == ("not_checked", "the server does not answer")
    assert "nowhere" in sentence
    assert "planted-secret" not in examined.out + examined.err
