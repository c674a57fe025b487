"""The order of a click id: kept across the journals of a directory, whoever has them, and across restarts."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.core.postback import Postback
from service.spool.journal import Journal
from service.spool.places import journal_paths
from tests.support import builders
from tests.support.outages import (
    BALANCED,
    Behaviour,
    another_worker,
    appended,
    left_by_an_earlier_process,
    site,
    spooled,
)

pytestmark = pytest.mark.anyio


def came(seconds: float, query: str) -> Postback:
    """Return a postback that came so many seconds after the first."""
    return builders.postback(query, received_at=builders.RECEIVED_AT + timedelta(seconds=seconds))


def left_at(folder: Path, worker: int, postback: Postback) -> None:
    """Leave a journal of this worker's in which a postback waits."""
    appended(folder, worker, [postback]).close()


async def test_a_newcomer_follows_what_waits_in_another_workers_journal(tmp_path: Path) -> None:
    with another_worker(tmp_path, builders.postback("c=a&value=1")) as other:
        async with site(tmp_path) as there:
            assert await there.receive("c=a&value=2", "c=b&value=1") == ["spooled", "stored"]
            other.remove([1])
            await there.drained()
            assert there.stored() == {"a": "2", "b": "1"}
            assert await there.receive("c=a&value=2") == ["duplicate"]


async def test_an_entry_waits_until_an_earlier_one_of_its_click_id_has_left_another_journal(tmp_path: Path) -> None:
    left_by_an_earlier_process(
        tmp_path, came(1, "c=a&value=2"), came(2, "c=b&value=1"), came(2, "c=d&value=1"), came(4, "c=c&value=1")
    )
    with another_worker(tmp_path, came(0, "c=a&value=1"), came(3, "c=b&value=2"), came(3, "c=c&value=2")) as other:
        async with site(tmp_path) as there:
            await there.until(lambda: len(there.stored()) == 2)
            assert there.stored() == {"b": "1", "d": "1"}
            other.remove([1, 3])
            await there.drained()
            assert there.stored() == {"a": "2", "b": "1", "c": "1", "d": "1"}


async def test_an_entry_waits_for_one_that_came_between_it_and_an_earlier_one_of_its_own_journal(
    tmp_path: Path,
) -> None:
    left_by_an_earlier_process(
        tmp_path, came(0, "c=a&value=1"), came(2, "c=a&value=1&goal=g"), came(3, "c=b&value=1&goal=g")
    )
    with another_worker(tmp_path, came(1, "c=a&value=2&goal=g")):
        async with site(tmp_path) as there:
            await there.until(lambda: there.metrics.books.drained.total() == 2)
            assert there.rows("SELECT click_id, goal FROM conversion ORDER BY click_id") == [("a", ""), ("b", "g")]


async def test_what_nobody_has_does_not_overtake_what_waits_behind_many_that_are_held_back(tmp_path: Path) -> None:
    behind = [came(number, f"c=a&value={number}") for number in range(1, 400)]
    left_by_an_earlier_process(tmp_path, *behind, came(400, "c=b&value=1"))
    left_at(tmp_path, 2, came(500, "c=b&value=2"))
    with another_worker(tmp_path, came(0, "c=a&value=0")):
        async with site(tmp_path) as there:
            await there.until(lambda: there.metrics.books.drained.total() == 2)
            assert there.stored() == {"b": "1"}


async def test_entries_that_wait_for_another_worker_keep_nobody_behind_them_from_leaving(tmp_path: Path) -> None:
    behind = [came(number, f"c=a&value={number}") for number in range(1, 600)]
    left_by_an_earlier_process(tmp_path, *behind, came(601, "c=b&value=1"))
    with another_worker(tmp_path, came(0, "c=a&value=0")):
        async with site(tmp_path) as there:
            await there.until(lambda: there.stored() == {"b": "1"})
            await there.until(lambda: there.metrics.spool.entries == 599)


async def test_a_wall_clock_that_stepped_back_reverses_no_order_across_journals(tmp_path: Path) -> None:
    earlier = [came(3600 + number, f"c={number}&value=1") for number in range(20)]
    later = [came(number, f"c={number}&value=2") for number in range(20)]
    journals = [Journal(journal_paths(tmp_path / "spool", worker)[0]) for worker in (0, 1)]
    for journal in journals:
        journal.open()
    for number, (first, second) in enumerate(zip(earlier, later, strict=True)):
        journals[number % 2].commit([first])
        journals[1 - number % 2].commit([second])
    for journal in journals:
        journal.close()
    async with site(tmp_path) as there:
        await there.until(lambda: there.metrics.books.drained.total() == 40)
        assert set(there.stored().values()) == {"1"}


async def test_a_journal_that_nobody_has_is_drained_in_one_order_with_the_own(tmp_path: Path) -> None:
    """A rolling restart leaves the older entries in the predecessor's journal."""
    left_by_an_earlier_process(tmp_path, came(1, "c=a&value=2"), came(3, "c=b&value=2"))
    with another_worker(tmp_path, came(0, "c=a&value=1"), came(2, "c=b&value=1"), came(4, "c=a&value=3")):
        pass
    async with site(tmp_path) as there:
        await there.until(lambda: there.metrics.books.drained.total() == 5)
        assert there.stored() == {"a": "1", "b": "1"}
        kept = there.rows("SELECT received_at FROM rejected_postback ORDER BY received_at")
        assert len(kept) == 3
        assert there.spool("entries") == {}
        assert there.spool("inherited_total") == {(): 5.0}
        assert there.drift == BALANCED


async def test_what_ends_during_an_outage_is_drained_although_something_waits_in_the_own_journal(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as there:
        await spooled(there, "c=own&value=1")
        with another_worker(tmp_path, builders.postback("c=left&value=1")):
            pass
        there.database.recover()
        await there.until(lambda: there.stored() == {"own": "1", "left": "1"})
        await there.drained()


@pytest.mark.parametrize("behaviour", ["well", "away"])
async def test_what_a_process_left_is_counted_until_it_is_drained(tmp_path: Path, behaviour: Behaviour) -> None:
    with another_worker(tmp_path, came(0, "c=first&value=1")):
        pass
    async with site(tmp_path, behaviour) as there:
        there.database.behaviour = "away"
        await there.until(lambda: there.spool("entries") == {(): 1.0})
        await spooled(there, "c=own&value=1")
        left_at(tmp_path, 2, came(1, "c=second&value=1"))
        await there.until(lambda: there.spool("entries") == {(): 3.0})
        there.database.recover()
        await there.until(lambda: there.spool("entries") == {})
        assert there.stored().keys() == {"first", "own", "second"}


async def test_a_newcomer_follows_what_a_process_left_that_has_ended(tmp_path: Path) -> None:
    with another_worker(tmp_path, *(came(number - 300, f"c={number}&value=1") for number in range(300))):
        pass
    async with site(tmp_path) as there:
        await there.receive("c=299&value=2")
        await there.drained()
        await there.until(lambda: len(there.stored()) == 300)
        assert set(there.stored().values()) == {"1"}
