"""A journal names its database: what waits for one is never drained into another, and a start says so."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageBroken
from service.spool.journal import Journal
from service.spool.ownership import Owner
from service.spool.places import journal_paths
from service.spool.reading import look
from tests.support import builders
from tests.support.outages import BALANCED, Behaviour, another_worker, site, spooled

pytestmark = pytest.mark.anyio

THEIRS = "1" * 32
HERE, THERE = "postgresql://here/postback", "postgresql://there/postback"


def left_for_another_database(folder: Path) -> None:
    """Make a journal whose entry is for another database."""
    journal = Journal(journal_paths(folder / "spool", 0)[0])
    journal.open()
    journal.claim(THEIRS)
    journal.commit([builders.postback("c=theirs&value=1")])
    journal.close()


async def test_a_start_on_another_databases_journal_is_refused_and_may_be_tried_again(tmp_path: Path) -> None:
    left_for_another_database(tmp_path)
    for _ in range(2):  # the lock was given back
        with pytest.raises(StorageBroken, match="POSTBACK_SPOOL_DIR") as refused:
            async with site(tmp_path):
                pass
        assert refused.value.kind == ErrorKind.ANOTHER_DATABASE


async def test_a_start_beside_a_service_of_another_database_is_refused(tmp_path: Path) -> None:
    with another_worker(tmp_path) as other:
        other.claim(THEIRS)
        with pytest.raises(StorageBroken, match="worker-1"):
            async with site(tmp_path):
                pass


async def test_if_the_database_was_away_at_the_start_its_name_is_compared_before_anything_is_drained(
    tmp_path: Path,
) -> None:
    left_for_another_database(tmp_path)
    async with site(tmp_path, "away") as there:
        assert await there.receive("c=a&value=1") == ["spooled"]
        there.database.recover()
        await there.until(lambda: not there.metrics.spool.active)
        assert await there.receive("c=b&value=1") == ["stored"]
        assert there.stored() == {"b": "1"}
        assert there.spool("entries") == {(): 2.0}
        assert there.spool("usable") == {}
        (line,) = there.lines.events("spool_broken")
        assert "is for another database" in str(line["reason"])
        assert there.drift == BALANCED


async def test_if_the_database_was_away_at_the_start_a_shared_directory_is_refused_when_it_is_back(
    tmp_path: Path,
) -> None:
    with another_worker(tmp_path) as other:
        other.claim(THEIRS)
        other.commit([builders.postback("c=a&value=1")])
        async with site(tmp_path, "away") as there:
            await spooled(there, "c=a&value=1")
            there.database.recover()
            await there.until(lambda: not there.metrics.spool.active)
            assert await there.receive("c=b&value=1") == ["stored"]
            assert there.stored() == {"b": "1"}
            assert "worker-1" in str(there.lines.events("spool_broken")[0]["reason"])


async def test_a_journal_takes_the_name_at_the_first_contact(tmp_path: Path) -> None:
    async with site(tmp_path, "away") as there:
        await spooled(there, "c=a&value=1")
        there.database.recover()
        await there.drained()
    with pytest.raises(StorageBroken):
        _claim_filled(tmp_path)


def _claim_filled(folder: Path) -> None:
    journal = Journal(journal_paths(folder / "spool", 0)[0])
    journal.open()
    journal.commit([builders.postback("c=b&value=1")])
    try:
        journal.claim(THEIRS)
    finally:
        journal.close()


def left_unnamed(folder: Path, worker: int, place: str, click_id: str = "theirs") -> Path:
    """Make a journal whose entry came while nobody could ask the database for its name."""
    journal = Journal(journal_paths(folder / "spool", worker)[0], place=place)
    journal.open()
    journal.claim(None)
    journal.commit([builders.postback(f"c={click_id}&value=1")])
    journal.close()
    return journal.path


@pytest.mark.parametrize("behaviour", ["well", "away"])
@pytest.mark.parametrize("worker", [0, 1])
async def test_a_start_where_postbacks_wait_for_another_place_is_refused(
    tmp_path: Path, behaviour: Behaviour, worker: int
) -> None:
    left_unnamed(tmp_path, worker, THERE)
    with pytest.raises(StorageBroken, match=f"never reached, at {THERE}.* at {HERE}.*start once with the old one"):
        async with site(tmp_path, behaviour, place=HERE):
            pass


async def test_a_start_in_an_outage_appends_to_no_journal_of_another_place(tmp_path: Path) -> None:
    async with site(tmp_path, place=HERE) as there:
        await spooled(there, "c=a&value=1")
    with pytest.raises(StorageBroken, match=f"at {HERE}.*never reached, at {THERE}"):
        async with site(tmp_path, "away", place=THERE):
            pass
    async with site(tmp_path, "away", place=HERE) as there:
        await spooled(there, "c=b&value=1")
        there.database.recover()
        await there.drained()
        assert there.stored() == {"a": "1", "b": "1"}


async def test_an_empty_journal_forgets_its_database_when_one_of_another_place_is_away_at_the_start(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, place=THERE):
        pass
    async with site(tmp_path, "away", place=HERE) as there:
        await spooled(there, "c=a&value=1")
    assert look(journal_paths(tmp_path / "spool", 0)[0]).owner == Owner(None, HERE)
    with pytest.raises(StorageBroken, match="is for another database"):
        async with site(tmp_path, place=THERE):
            pass


async def test_what_a_process_of_another_place_left_meanwhile_is_not_drained(tmp_path: Path) -> None:
    async with site(tmp_path, place=HERE) as there:
        left_unnamed(tmp_path, 1, THERE)
        left_unnamed(tmp_path, 2, HERE, "ours")
        await there.until(lambda: bool(there.stored()) and bool(there.lines.events("spool_not_drained")))
        await there.until(lambda: there.metrics.books.drained.total() == 1)
        assert look(journal_paths(tmp_path / "spool", 1)[0]).entries == 1
        assert look(journal_paths(tmp_path / "spool", 2)[0]).entries == 0


async def test_a_new_place_of_the_same_database_is_noted(tmp_path: Path) -> None:
    async with site(tmp_path, place=THERE) as there:
        await spooled(there, "c=a&value=1")
    async with site(tmp_path, place=HERE) as there:
        await there.drained()
        assert there.stored() == {"a": "1"}
    owner = look(journal_paths(tmp_path / "spool", 0)[0]).owner
    assert owner.name
    assert owner.place == HERE


async def test_an_old_journal_says_nothing_of_its_database_and_is_drained_into_the_first(tmp_path: Path) -> None:
    path = left_unnamed(tmp_path, 0, THERE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("DROP TABLE database_identity; DROP TABLE database_place")
    async with site(tmp_path, "away", place=HERE) as there:
        await spooled(there, "c=a&value=1")
        there.database.recover()
        await there.drained()
        assert there.stored() == {"theirs": "1", "a": "1"}
