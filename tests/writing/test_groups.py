"""Entries that belong together: one commit, one answer, and room beside them."""

import asyncio

import pytest

from service.core.batch import MAX_ATOMIC_ROWS
from service.core.unavailable import Overloaded
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from tests.support import builders
from tests.support.fakes import FakeStore, LoopClock, in_time, samples
from tests.support.writers import DEADLINE, admitted, entries, fates, write_apart, writing

pytestmark = pytest.mark.anyio


async def test_entries_that_belong_together_are_committed_together_and_hear_of_it_together() -> None:
    store, metrics = FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics) as writer:
        await write_apart(writer, entries(2))
        sent = [entries(3), entries(MAX_BATCH - 1), entries(2), entries(1)]
        futures = [writer.write(NOBODY, *group) for group in sent]
        assert samples(metrics, "postback_queue_depth") == {(): float(MAX_BATCH + 5)}
        store.gate.set()
        written = await in_time(asyncio.gather(*futures))
    assert store.sizes == [1, 1, 3, MAX_BATCH - 1, 3]
    assert [len(one.verdicts) for one in written] == [3, MAX_BATCH - 1, 2, 1]
    assert [one.verdicts[0].detail for one in written] == ["3.0", "4.0", "5.0", "5.2"]


async def test_all_or_none_has_a_commit_of_its_own_and_leaves_room_beside_it() -> None:
    store, metrics = FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics, capacity=MAX_BATCH + 5) as writer:
        await write_apart(writer, entries(2))
        futures = [
            writer.write(NOBODY, *group) for group in (entries(3), entries(MAX_ATOMIC_ROWS), entries(1), entries(1))
        ]
        assert samples(metrics, "postback_queue_depth") == {(): float(MAX_BATCH + 5)}
        with pytest.raises(Overloaded):
            writer.write(NOBODY, builders.postback())
        store.gate.set()
        written = await in_time(asyncio.gather(*futures))
    assert store.sizes == [1, 1, 3, MAX_ATOMIC_ROWS, 2]
    assert [len(one.verdicts) for one in written] == [3, MAX_ATOMIC_ROWS, 1, 1]
    assert samples(metrics, "postback_queue_depth") == {}


async def test_all_or_none_keeps_its_places_when_others_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store, metrics = LoopClock(monkeypatch), FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics) as writer:
        futures = await write_apart(writer, entries(3))  # one is being committed, one is handed over, one waits
        clock.move(DEADLINE / 2)
        whole = writer.write(NOBODY, *entries(MAX_ATOMIC_ROWS))
        clock.move(DEADLINE / 2 + 1)
        assert await fates(futures) == ["TIMEOUT"] * 3
        assert samples(metrics, "postback_queue_depth") == {(): float(MAX_BATCH)}
        store.gate.set()
        assert len((await in_time(whole)).verdicts) == MAX_ATOMIC_ROWS


async def test_more_entries_than_a_commit_takes_are_the_callers_mistake() -> None:
    async with writing(FakeStore()) as writer:
        with pytest.raises(ValueError, match="a commit takes"):
            writer.write(NOBODY, *entries(MAX_ATOMIC_ROWS + 1))


async def test_a_group_is_given_up_as_one_and_each_of_its_rows_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store, metrics = LoopClock(monkeypatch), FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics) as writer:
        futures = [writer.write(NOBODY, *entries(5))]
        await asyncio.to_thread(store.begun.acquire)
        futures += await write_apart(writer, entries(1))  # handed over as well
        futures.append(writer.write(NOBODY, *entries(3)))
        assert samples(metrics, "postback_queue_depth") == {(): 3.0}
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 3
        assert samples(metrics, "postback_queue_depth") == {}
        store.gate.set()
        await admitted(writer, builders.postback())
    assert samples(metrics, "postback_late_commits_total") == {(): 6.0}
