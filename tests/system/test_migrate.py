"""Owns the ways of a schema and of a grown installation, from outside: commands, replicas that start at once."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, command
from tests.support.outside.ledger import Ledger, run
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.proof]


def migrate(directory: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(directory, url, "migrate", *arguments)


def test_an_empty_database_is_brought_up_and_its_state_is_told(tmp_path: Path, server: PostgresServer) -> None:
    url = server.url(server.new_database())
    assert migrate(tmp_path, url, "status").returncode == 1
    assert migrate(tmp_path, url, "up").returncode == 0
    told = migrate(tmp_path, url, "status", "--json")
    found = json.loads(told.stdout)
    assert (told.returncode, found["usable"], found["pending"]) == (0, True, [])
    assert migrate(tmp_path, url, "down", "0001").returncode == 2  # without --yes
    assert migrate(tmp_path, url, "down", "0001", "--yes").returncode == 0
    assert migrate(tmp_path, url, "status").returncode == 1


def test_status_of_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert migrate(tmp_path, "sqlite:///none.db", "status").returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_replicas_that_start_at_once_on_an_empty_database_all_serve(tmp_path: Path, server: PostgresServer) -> None:
    settings = {"DATABASE_URL": server.url(server.new_database()), "MIGRATE": "true"}

    def replica(number: int) -> str | None:
        own = {"SPOOL_DIR": str(tmp_path / f"spool-{number}")}  # replicas share a database, and nothing else
        with Service(tmp_path, {**settings, **own}) as service:
            return service.postback(f"replica-{number}").outcome

    with ThreadPoolExecutor(3) as three:
        assert list(three.map(replica, range(3))) == ["stored"] * 3


def test_a_start_waits_for_somebody_elses_migration_and_then_serves(tmp_path: Path, server: PostgresServer) -> None:
    url = server.url(server.new_database())
    with ThreadPoolExecutor(1) as thread:
        migrated = thread.submit(migrate, tmp_path, url, "up")  # takes about as long as the service's own start
        with Service(tmp_path, {"DATABASE_URL": url, "MIGRATE_WAIT": "50"}) as service:
            assert service.postback("after").outcome == "stored"
        assert migrated.result().returncode == 0


def test_a_start_without_the_migration_is_refused_after_its_patience(tmp_path: Path, server: PostgresServer) -> None:
    service = Service(tmp_path, {"DATABASE_URL": server.url(server.new_database()), "MIGRATE_WAIT": "1"})
    service.launch()
    assert service.wait() == 2
    assert "migrate up" in service.stderr()
    assert "waiting_for_migrations" in service.log_text()


def test_a_grown_installation_moves_and_the_sender_notices_nothing(tmp_path: Path, server: PostgresServer) -> None:
    ledger = Ledger("moved", seed=7)
    with Service(tmp_path) as old:
        run(ledger.press_in_turn(old.public, 300))
        assert old.get("/postback?c=refused&value=x").status == 400
        refused = migrate(tmp_path, server.url("postgres"), "copy", f"sqlite:///{old.database}")
        assert refused.returncode == 2
        assert "another process is serving" in refused.stderr
        assert old.terminate() == 0
    url = server.url(server.new_database())
    copied = migrate(tmp_path, url, "copy", f"sqlite:///{old.database}", "--json")
    assert copied.returncode == 0, copied.stderr
    assert json.loads(copied.stdout)["equal"] is True
    with Service(tmp_path, {"DATABASE_URL": url}) as new:
        assert ledger.check_against(new) == ledger.sent
        run(ledger.press_in_turn(new.public, 100))
        ledger.check_against(new)
        assert new.sql("SELECT count(*) FROM rejected_postback") == [(1,)]
