"""Owns the proof that one click id keeps its order, its database and its erasure, whichever process drains it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly
from tests.support.outside.harness import NotStarted, Service, command, migrate, wait_for
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.workers import READY_SECONDS, Workers

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

DRAIN_SECONDS = 60
CLICK_IDS = [f"click-{number}" for number in range(60)]
CONSERVATION = ("rows_counted", "outcomes_counted", "conservation_drift", "one_outcome", "orphans")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Start a server of this test's own."""
    with PostgresServer() as started:
        yield started


def settings(server: PostgresServer, tmp_path: Path, database: str = "") -> dict[str, str]:
    """Return the settings of a service on the server; all use one spool directory."""
    url = server.url(database) if database else server.url()
    return {"DATABASE_URL": url, "SPOOL_DIR": str(tmp_path / "spool")}


def drained(service: Service) -> None:
    """Wait until nothing waits."""
    wait_for(lambda: not service.metrics().total("postback_spool_entries") or None, DRAIN_SECONDS)


def test_a_rolling_restart_during_an_outage_reverses_no_order(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server, SPOOL_DIR=str(tmp_path / "spool")) as service:
        server.kill()
        first = [service.get(f"/postback?c={one}&value=1&conversion_status=pending") for one in CLICK_IDS]
        service.send_signal(signal.SIGHUP)
        wait_for(lambda: len(service.events("worker_ready")) == 4 or None, READY_SECONDS)
        second = [service.get(f"/postback?c={one}&value=2&conversion_status=approved") for one in CLICK_IDS]
        assert {answer.outcome for answer in first + second} == {"spooled"}
        server.start()
        wait_for(lambda: len(service.sql("SELECT 1 FROM status_change")) == len(CLICK_IDS) or None, DRAIN_SECONDS)
        assert service.sql("SELECT value, conversion_status, count(*) FROM conversion GROUP BY 1, 2") == [
            ("1", "pending", len(CLICK_IDS))
        ]
        assert service.sql("SELECT count(*) FROM rejected_postback") == [(0,)]
        wait_for(lambda: not sum(one.total("postback_spool_entries") for one in service.of_each()) or None, 30)
        assert {name: service.examine().check(name)[0] for name in ("spool", "spool_orphans", "spool_database")} == {
            "spool": "ok",
            "spool_orphans": "ok",
            "spool_database": "ok",
        }


def test_a_newcomer_at_one_worker_follows_what_waits_at_another(tmp_path: Path, server: PostgresServer) -> None:
    """The workers' outages end at different moments, and a connection goes to either of them."""
    with Workers(tmp_path, server, SPOOL_DIR=str(tmp_path / "spool")) as service:
        server.kill()
        answers = [service.get(f"/postback?c={one}&value=1") for one in CLICK_IDS for _ in range(3)]
        assert {answer.outcome for answer in answers} == {"spooled"}
        server.start()
        for one in CLICK_IDS:
            assert service.get(f"/postback?c={one}&value=2").outcome in {"spooled", "conflict"}
        wait_for(lambda: not sum(one.total("postback_spool_entries") for one in service.of_each()) or None, 60)
        assert service.sql("SELECT value, count(*) FROM conversion GROUP BY 1") == [("1", len(CLICK_IDS))]
        assert service.sql("SELECT outcome, count(*) FROM rejected_postback GROUP BY 1") == [
            ("conflict", len(CLICK_IDS))
        ]


def test_what_arrived_before_its_click_id_was_erased_is_dropped_by_the_drain_and_noted(
    tmp_path: Path, server: PostgresServer
) -> None:
    migrate(tmp_path, server.url())
    with Service(tmp_path, settings(server, tmp_path)) as service:
        assert service.postback("gone").outcome == "stored"
        server.kill()
        assert service.postback("gone", "2").outcome == "spooled"
        assert service.postback("gone", "x").outcome == "invalid_value"
        assert service.postback("kept").outcome == "spooled"
        service.send_signal(signal.SIGSTOP)  # as another host, it does not know of the erasure
        server.start()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        erased = command(elsewhere, server.url(), "erase", "gone", "--yes")
        assert erased.returncode == 0, erased.stderr
        service.send_signal(signal.SIGCONT)
        drained(service)
        assert server.sql("SELECT click_id FROM conversion") == [("kept",)]
        assert server.sql("SELECT outcome, rows FROM deletion WHERE table_name = 'spool' ORDER BY 1") == [
            ("invalid_value", 1),
            ("spooled", 1),
        ]
        assert service.metrics().by_label("postback_spool_drained_total", "outcome")["erased"] == 2
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        examined = plainly(
            tmp_path,
            "--json",
            f"--operator-url=http://{service.operator[0]}:{service.operator[1]}",
            **{f"POSTBACK_{name}": value for name, value in settings(server, tmp_path).items()},
        )
        assert {name: examined.check(name)[0] for name in CONSERVATION} == dict.fromkeys(CONSERVATION, "ok")
        assert service.postback("gone", "3").outcome == "stored"


def test_two_services_of_different_databases_do_not_share_a_spool(tmp_path: Path, server: PostgresServer) -> None:
    other = server.new_database()
    for url in (server.url(), server.url(other)):
        migrate(tmp_path, url)
    (tmp_path / "other").mkdir()
    with Service(tmp_path, settings(server, tmp_path)) as service:
        with (
            pytest.raises(NotStarted, match=r"exit code 2: POSTBACK_SPOOL_DIR.*worker-0.* is for another database"),
            Service(tmp_path / "other", settings(server, tmp_path, other)),
        ):
            pass
        assert service.postback("a").outcome == "stored"
    told = plainly(
        tmp_path,
        "--json",
        "--offline",
        **{f"POSTBACK_{name}": value for name, value in settings(server, tmp_path, other).items()},
    )
    assert told.check("spool_database")[0] == "wrong"
