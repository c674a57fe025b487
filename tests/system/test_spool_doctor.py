"""Owns what doctor says of a spool: during an outage, after it, and of journals that nobody will drain any more."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.examining import Examined, plainly
from tests.support.outside.harness import Service, command, migrate, wait_for
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """Start a server of this test's own, with a migrated database."""
    with PostgresServer() as started:
        migrate(tmp_path, started.url())
        yield started


def environment(url: str, folder: Path, **settings: str) -> dict[str, str]:
    """Return the variables of a service's settings."""
    return {
        f"POSTBACK_{name}": value
        for name, value in {"DATABASE_URL": url, "SPOOL_DIR": str(folder / "spool"), **settings}.items()
    }


def examine(service: Service, server: PostgresServer, **settings: str) -> Examined:
    """Run doctor beside the service."""
    return plainly(
        service.directory,
        "--json",
        f"--operator-url=http://{service.operator[0]}:{service.operator[1]}",
        f"--public-url=http://{service.public[0]}:{service.public[1]}",
        **environment(server.url(), service.directory, **settings),
    )


def drained(service: Service) -> None:
    wait_for(lambda: not service.metrics().total("postback_spool_entries") or None, 60)


def test_doctor_tells_an_outage_from_a_loss_and_balances_the_books_after_it(
    tmp_path: Path, server: PostgresServer
) -> None:
    settings = {"DATABASE_URL": server.url(), "SPOOL_DIR": str(tmp_path / "spool")}
    with Service(tmp_path, settings) as earlier:
        server.stop()
        earlier.postback("inherited")
    with Service(tmp_path, settings) as service:
        assert service.postback("spooled").outcome == "spooled"
        assert service.postback("rejected", "x").outcome == "invalid_value"
        during = examine(service, server)
        assert during.check("spool")[0] == "warning"
        assert during.check("spool")[1].startswith("3 postbacks wait, the oldest for ")
        assert during.check("ready") == ("warning", "/readyz says spooling: a commit works in the spool only")
        assert during.check("spool_counted") == ("ok", "3 in the file, 3 to 3 by the process's count")
        server.start()
        drained(service)
        assert [service.postback(click_id).outcome for click_id in ("spooled", "new")] == ["duplicate", "stored"]
        after = examine(service, server)
        names = ("spool", "spool_orphans", "spool_counted", "rows_counted", "outcomes_counted", "conservation_drift")
        assert {name: after.check(name)[0] for name in names} == dict.fromkeys(names, "ok")
        server.sql("DELETE FROM conversion WHERE click_id = 'spooled'")
        assert examine(service, server).check("outcomes_counted")[0] == "wrong"


def test_doctor_finds_postbacks_that_nobody_will_drain(tmp_path: Path, server: PostgresServer) -> None:
    settings = {"DATABASE_URL": server.url(), "SPOOL_DIR": str(tmp_path / "spool")}
    server.stop()
    for click_id in ("left-3", "left-0"):
        with Service(tmp_path, settings) as service:
            assert service.postback(click_id).outcome == "spooled"
        if click_id == "left-3":  # as if there had been more workers
            (tmp_path / "spool" / "worker-0").rename(tmp_path / "spool" / "worker-3")
    server.start()
    stopped = plainly(tmp_path, "--json", "--offline", **environment(server.url(), tmp_path))
    assert stopped.check("spool")[0] == stopped.check("spool_orphans")[0] == "wrong"
    assert "nobody has" in stopped.check("spool")[1]
    assert "worker-3" in stopped.check("spool_orphans")[1]
    off = plainly(tmp_path, "--json", "--offline", **environment(server.url(), tmp_path, SPOOL="off"))
    assert off.check("spool") == ("ok", "off: while the database is away, postbacks are answered 503")
    assert "worker-0" in off.check("spool_orphans")[1]
    with Service(tmp_path, settings) as service:
        drained(service)
        assert examine(service, server).check("spool")[0] == "ok"


def test_an_entry_deleted_by_hand_is_missed(tmp_path: Path, server: PostgresServer) -> None:
    settings = {"DATABASE_URL": server.url(), "SPOOL_DIR": str(tmp_path / "spool")}
    with Service(tmp_path, settings) as service:
        server.stop()
        service.postback("a")
        service.postback("b")
        _delete(tmp_path / "spool" / "worker-0" / "spool.db", "a")
        assert examine(service, server).check("spool_counted")[0] == "wrong"
        server.start()
        wait_for(lambda: server.sql("SELECT click_id FROM conversion") or None, 60)
        state, sentence = examine(service, server).check("outcomes_counted")
        assert (state, sentence) == ("wrong", "spooled: 1 answered, and neither drained nor in the spool")


def test_lookup_says_that_a_journal_of_another_database_waits_for_that(tmp_path: Path, server: PostgresServer) -> None:
    theirs = server.url(server.new_database())
    migrate(tmp_path, theirs)
    spool, other = {"SPOOL_DIR": str(tmp_path / "data" / "spool")}, tmp_path / "other"  # where a command looks
    other.mkdir()
    server.stop()
    with Service(other, {"DATABASE_URL": theirs, **spool}) as stranger:
        assert stranger.postback("s1").outcome == "spooled"
        stranger.kill()
    server.start()
    found = command(tmp_path, server.url(), "lookup", "s1")
    assert "waits in" in found.stdout
    assert "another database" in found.stdout


def _delete(path: Path, click_id: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM entry WHERE click_id = ?", (click_id,))
