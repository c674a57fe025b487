"""Owns the proof that what was answered in an outage goes to no other database, though nobody could ask for its name.

Two services share a SPOOL_DIR by mistake, and the server of both is away when the second one starts.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside.harness import NotStarted, Service, migrate, wait_for
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[tuple[PostgresServer, str, str]]:
    """Start a server of this test's own with two migrated databases."""
    (tmp_path / "other").mkdir()
    with PostgresServer() as server:
        both = server.url(), server.url(server.new_database())
        for url in both:
            migrate(tmp_path, url)
        yield server, *both


def settings(url: str, tmp_path: Path) -> dict[str, str]:
    """Return the settings of a service; both use one spool directory."""
    return {"DATABASE_URL": url, "SPOOL_DIR": str(tmp_path / "spool")}


def spool_ten(service: Service) -> None:
    """Send what is acknowledged during the outage."""
    assert {service.postback(f"b{number}").outcome for number in range(10)} == {"spooled"}
    service.kill()


def test_what_another_service_left_in_an_empty_journal_is_refused_and_drained_by_its_own(
    tmp_path: Path, urls: tuple[PostgresServer, str, str]
) -> None:
    server, ours, theirs = urls
    with Service(tmp_path, settings(ours, tmp_path)) as service:
        assert service.postback("a").outcome == "stored"
    server.stop()
    with Service(tmp_path / "other", settings(theirs, tmp_path)) as other:
        spool_ten(other)
    server.start()
    with pytest.raises(NotStarted, match="is for another database"), Service(tmp_path, settings(ours, tmp_path)):
        pass
    with Service(tmp_path / "other", settings(theirs, tmp_path)) as other:
        wait_for(lambda: len(other.sql("SELECT 1 FROM conversion")) == 10 or None, 60)
    with Service(tmp_path, settings(ours, tmp_path)) as service:
        assert service.sql("SELECT click_id FROM conversion") == [("a",)]


def test_a_start_in_an_outage_beside_a_service_of_another_place_is_refused(
    tmp_path: Path, urls: tuple[PostgresServer, str, str]
) -> None:
    server, ours, theirs = urls
    with Service(tmp_path, settings(ours, tmp_path)) as service:
        server.stop()
        with (
            pytest.raises(NotStarted, match=r"exit code 2: POSTBACK_SPOOL_DIR.* is for another database"),
            Service(tmp_path / "other", settings(theirs, tmp_path)),
        ):
            pass
        assert service.postback("a").outcome == "spooled"
