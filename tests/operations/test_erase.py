"""Erasing a click id, on every engine: nothing goes before somebody agreed, and the book knows who."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.operations.erase import ErasureReport, ErasureRequest, deletions, erase, find
from service.operations.errors import BeingServed, Refused
from service.spool.journal import Journal
from tests.support import builders
from tests.support.engines import Engine

NOW = datetime.now(UTC)
REQUEST = ErasureRequest("person-1", "maria", NOW)
DAY = timedelta(days=1)


class Disagreed(Exception):  # noqa: N818 - a decision
    """Somebody said no."""


@pytest.fixture(autouse=True)
def _stored(engine: Engine) -> None:
    ledger = engine.database.ledger()
    ledger.open()
    ledger.commit([builders.postback(f"c={click_id}&value=1") for click_id in ("person-1", "person-1", "another")])
    engine.database.deletions().clock.accept(NOW)
    ledger.close()


def click_ids(engine: Engine) -> list[tuple[object, ...]]:
    return engine.rows("SELECT click_id FROM conversion ORDER BY 1")


def test_nothing_is_deleted_unless_somebody_agrees_to_what_was_found(engine: Engine, tmp_path: Path) -> None:
    shown: list[ErasureReport] = []

    def disagree(report: ErasureReport) -> None:
        shown.append(report)
        raise Disagreed

    with pytest.raises(Disagreed):
        erase(engine.database, tmp_path, REQUEST, disagree)
    assert [row.table for row in shown[0].rows] == ["conversion", "duplicate"]
    assert list(shown[0].rows) == list(find(engine.database, tmp_path, "person-1").rows)
    assert click_ids(engine) == [("another",), ("person-1",)]


def test_what_was_agreed_to_is_deleted_and_noted_under_a_hash(engine: Engine, tmp_path: Path) -> None:
    report = erase(engine.database, tmp_path, REQUEST, lambda _: None)
    assert (report.done, report.deleted["conversion"], report.deleted["duplicate"]) == (True, 1, 1)
    assert click_ids(engine) == [("another",)]
    book = deletions(engine.database, "person-1", 10)
    assert {(entry.deleted_by, entry.click_id_sha256) for entry in book.entries} == {("maria", report.click_id_sha256)}
    assert "person-1" not in str(book.members())
    assert not deletions(engine.database, "another", 10).entries


def test_nobody_is_asked_where_nothing_is_stored(engine: Engine, tmp_path: Path) -> None:
    def fail(_: ErasureReport) -> None:
        raise AssertionError

    nothing = ErasureRequest("nobody", "maria", NOW)
    assert erase(engine.database, tmp_path, nothing, fail) == ErasureReport("nobody", [], done=True)


def test_while_the_spool_holds_more_of_it_it_is_refused(engine: Engine, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback("c=person-1&value=1")])
    journal.close()
    with pytest.raises(Refused, match="1 of its postbacks wait"):
        erase(engine.database, tmp_path, REQUEST, lambda _: None)
    with pytest.raises(Refused):
        find(engine.database, tmp_path, "person-1")


def test_beside_a_running_service_only_a_server_lets_it_be_done(engine: Engine, tmp_path: Path) -> None:
    serving = engine.database.ledger()
    serving.open()
    if engine.kind == "sqlite":
        with pytest.raises(BeingServed, match="stop the service first, then erase"):
            erase(engine.database, tmp_path, REQUEST, lambda _: None)
    else:
        erase(engine.database, tmp_path, REQUEST, lambda _: None)
    serving.close()
    assert len(click_ids(engine)) == {"sqlite": 2, "postgres": 1}[engine.kind]


@pytest.mark.parametrize("believed", [NOW - 31 * DAY, None])
def test_by_a_clock_that_may_be_wrong_nothing_is_erased_until_a_person_accepts_it(
    engine: Engine, tmp_path: Path, believed: datetime | None
) -> None:
    clock = engine.database.deletions().clock
    if believed:
        clock.accept(believed)
    else:  # then the newest row tells
        engine.change("DELETE FROM trusted_clock")
    with pytest.raises(Refused, match=r"nothing is erased: this clock says .* set the clock, or, .*--accept-clock"):
        erase(engine.database, tmp_path, REQUEST, lambda _: None)
    assert len(click_ids(engine)) == 2
    assert not deletions(engine.database, None, 10).entries
    clock.accept(NOW)
    assert erase(engine.database, tmp_path, REQUEST, lambda _: None).deleted["conversion"] == 1


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_differs_from_the_servers_erases_nothing(engine: Engine, tmp_path: Path, minutes: int) -> None:
    request = REQUEST._replace(at=datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(Refused, match=r"nothing is erased: .* and the server's .*: set the one that is wrong"):
        erase(engine.database, tmp_path, request, lambda _: None)
    assert len(click_ids(engine)) == 2
    near = REQUEST._replace(at=datetime.now(UTC) + timedelta(minutes=4))
    assert erase(engine.database, tmp_path, near, lambda _: None).deleted["conversion"] == 1
