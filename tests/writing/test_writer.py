"""The writer: one answer for each entry, only after its commit, in bounded time, and nothing lost on the way down."""

import asyncio
import threading

import pytest
from anyio.lowlevel import checkpoint

from service.core.outcome import Outcome
from service.core.unavailable import Overloaded, StorageBroken, StorageError
from service.core.verdict import Verdict
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.committing import OnThread
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import FakeStore, in_time
from tests.support.writers import BROKEN, FULL, entries, fates, settled, write_apart, writing

pytestmark = pytest.mark.anyio


async def test_an_entry_is_answered_only_after_its_commit() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        future = writer.write(NOBODY, builders.postback())
        await asyncio.to_thread(store.begun.acquire)
        assert not future.done()
        store.gate.set()
        assert (await in_time(future)).verdict == Verdict(Outcome.STORED, "1.0")


async def test_entries_of_one_turn_go_together_and_each_gets_the_verdict_of_its_place() -> None:
    store, sent = FakeStore(), entries(3)
    async with writing(store) as writer:
        written = await in_time(asyncio.gather(*[writer.write(NOBODY, postback) for postback in sent]))
    assert store.batches == [sent]
    assert [one.verdict.detail for one in written] == ["1.0", "1.1", "1.2"]


async def test_what_arrives_while_two_batches_are_handed_over_goes_together_in_the_next() -> None:
    store, sent = FakeStore(), entries(6)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, sent)
        store.gate.set()
        assert await fates(futures) == ["stored"] * 6
    assert store.batches == [sent[:1], sent[1:2], sent[2:]]


@pytest.mark.parametrize(("second_rows", "sizes"), [(5, [1, 5]), (4, [1, 4, 1])])
async def test_a_second_batch_waits_for_the_disk_once_it_is_large_enough(second_rows: int, sizes: list[int]) -> None:
    store, sent = FakeStore(), entries(6)
    store.gate.clear()
    async with writing(store, second_rows=second_rows) as writer:
        futures = await write_apart(writer, sent)
        store.gate.set()
        assert await fates(futures) == ["stored"] * 6
    assert store.sizes == sizes


async def test_a_batch_is_never_larger_than_storage_takes_and_order_is_kept() -> None:
    store, sent = FakeStore(), entries(3 * MAX_BATCH + 1)
    store.gate.clear()
    async with writing(store) as writer:
        first, rest = await write_apart(writer, sent[:2]), [writer.write(NOBODY, postback) for postback in sent[2:]]
        store.gate.set()
        assert await fates([*first, *rest]) == ["stored"] * len(sent)
    assert store.sizes == [1, 1, MAX_BATCH, MAX_BATCH, MAX_BATCH - 1]
    assert [entry for batch in store.batches for entry in batch] == sent


async def test_a_full_queue_refuses_at_once_and_loses_nothing_of_what_it_took() -> None:
    store, sent = FakeStore(), entries(2 + 3)
    store.gate.clear()
    async with writing(store, capacity=3) as writer:
        futures = await write_apart(writer, sent)
        with pytest.raises(Overloaded, match="3 postbacks are waiting already"):
            writer.write(NOBODY, builders.postback())
        store.gate.set()
        assert await fates(futures) == ["stored"] * 5
        assert await fates([writer.write(NOBODY, builders.postback("c=later&value=1"))]) == ["stored"]
    assert store.sizes == [1, 1, 3, 1]


async def test_a_writer_that_was_not_started_refuses() -> None:
    with pytest.raises(Overloaded, match="not started"):
        Writer(OnThread(FakeStore()), Metrics()).write(NOBODY, builders.postback())


@pytest.mark.parametrize("failure", [FULL, RuntimeError("a bug in storage")])
async def test_a_failed_commit_fails_exactly_its_own_batch(failure: Exception) -> None:
    store = FakeStore(failure)
    store.gate.clear()
    async with writing(store) as writer:
        in_batch_1 = [writer.write(NOBODY, postback) for postback in entries(2)]
        await checkpoint()
        in_batch_2 = [writer.write(NOBODY, postback) for postback in entries(2)]
        await checkpoint()
        store.gate.set()
        assert await settled(in_batch_1) == [failure, failure]
        assert await fates(in_batch_2) == ["stored", "stored"]
        assert not writer.broken.is_set()


async def test_broken_storage_fails_all_that_is_outstanding_and_is_never_called_again() -> None:
    store = FakeStore(BROKEN)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(4))  # committing, handed over, and two that wait
        store.gate.set()
        assert await settled(futures) == [BROKEN] * 4
        assert await in_time(writer.close())
    assert store.sizes == [1]


async def test_broken_storage_is_told_to_the_process_and_to_every_later_writer() -> None:
    store = FakeStore(BROKEN)
    async with writing(store) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == [BROKEN.kind]
        assert writer.broken.is_set()
        for _ in range(2):
            with pytest.raises(StorageBroken) as refused:
                writer.write(NOBODY, builders.postback())
            assert refused.value is BROKEN
        assert await in_time(writer.close())
    assert store.sizes == [1]


async def test_close_refuses_new_work_and_commits_what_it_took() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(MAX_BATCH + 5))
        closing = asyncio.create_task(writer.close())
        await checkpoint()
        with pytest.raises(Overloaded, match="shutting down"):
            writer.write(NOBODY, builders.postback())
        store.gate.set()
        assert await in_time(closing)
        assert all(future.done() for future in futures)
        assert await fates(futures) == ["stored"] * (MAX_BATCH + 5)
    assert "writer" not in {thread.name for thread in threading.enumerate()}


async def test_close_of_an_idle_writer_stops_its_thread() -> None:
    writer = Writer(OnThread(FakeStore()), Metrics())
    writer.start()
    assert await in_time(writer.close())
    assert "writer" not in {thread.name for thread in threading.enumerate()}


async def test_close_gives_up_on_a_store_that_hangs_and_says_so() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store, deadline=0.05) as writer:
        futures = await write_apart(writer, entries(3))
        assert not await in_time(writer.close())
        assert await fates(futures) == ["TIMEOUT"] * 3


async def test_what_is_submitted_has_its_turn_between_two_commits() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        first = writer.write(NOBODY, *entries(1))
        await checkpoint()
        await asyncio.to_thread(store.begun.acquire)
        turn = writer.submit(lambda: len(store.batches))
        store.gate.set()
        assert await in_time(asyncio.wrap_future(turn)) == 1
        await in_time(first)
        assert (await in_time(writer.write(NOBODY, *entries(1)))).verdict.detail == "2.0"


async def test_what_fails_at_its_turn_fails_nobody_else() -> None:
    def fail() -> None:
        raise FULL

    metrics = Metrics()
    async with writing(FakeStore(), metrics) as writer:
        with pytest.raises(StorageError):
            await in_time(asyncio.wrap_future(writer.submit(fail)))
        assert (await in_time(writer.write(NOBODY, *entries(1)))).verdict.outcome is Outcome.STORED
        assert not writer.broken.is_set()


async def test_storage_that_breaks_at_a_turn_is_used_no_more() -> None:
    def fail() -> None:
        raise BROKEN

    async with writing(FakeStore()) as writer:
        with pytest.raises(StorageBroken):
            await in_time(asyncio.wrap_future(writer.submit(fail)))
        await in_time(writer.broken.wait())
        with pytest.raises(StorageBroken):
            writer.write(NOBODY, *entries(1))
