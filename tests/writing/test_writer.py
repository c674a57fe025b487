"""The writer: one answer for each entry, only after its commit, in bounded time, and nothing lost on the way down."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from anyio.lowlevel import checkpoint

from service.core.batch import MAX_ATOMIC_ROWS
from service.core.outcome import Outcome
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, Overloaded, StorageBroken, StorageError
from service.core.verdict import Verdict
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.committing import OnThread
from service.writing.writer import Writer, Written
from tests.support import builders
from tests.support.fakes import PATIENCE, FakeStore, LoopClock, in_time, samples, ticking

pytestmark = pytest.mark.anyio

DEADLINE = 60.0  # longer than any test: only the tests about it let it pass
Future = asyncio.Future[Written]
FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
BROKEN = StorageBroken("SQLITE_IOERR_FSYNC: disk I/O error", ErrorKind.SQLITE_IOERR)


@asynccontextmanager
async def writing(
    store: FakeStore,
    metrics: Metrics | None = None,
    *,
    capacity: int = 4096,
    deadline: float = DEADLINE,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Writer]:
    """Run a writer on a store; at the end let the store go and close the writer, also when the test failed.

    The clock tells the hour and measures each commit.
    """
    writer = Writer(OnThread(store, clock), metrics or Metrics(), capacity=capacity, deadline=deadline, clock=clock)
    writer.start()
    try:
        yield writer
    finally:
        store.gate.set()
        await in_time(writer.close())


def entries(count: int) -> list[Postback]:
    return [builders.postback(f"c=click-{number}&value=1") for number in range(count)]


async def write_apart(writer: Writer, postbacks: Sequence[Postback]) -> list[Future]:
    """Write each in a turn of the loop of its own, as requests on different connections come."""
    futures = []
    for postback in postbacks:
        futures.append(writer.write(NOBODY, postback))
        await checkpoint()
    return futures


@dataclass
class Stopwatch:
    """A clock that has moved on by so many seconds whenever it is read: so long does each commit take."""

    seconds: float
    now: float = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        self.now += self.seconds
        return self.now


async def commit_often(writer: Writer) -> None:
    """Let the writer learn how long a commit takes."""
    for entry in entries(50):
        await in_time(writer.write(NOBODY, entry))


async def admitted(writer: Writer, postback: Postback) -> Future:
    """Write as soon as the writer takes entries again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return writer.write(NOBODY, postback)
            except StorageError:
                await checkpoint()


async def fates(futures: Sequence[Future]) -> list[str]:
    """Return what each future came to: `stored`, or the kind of its StorageError."""
    return [_fate(result) for result in await settled(futures)]


async def settled(futures: Sequence[Future]) -> list[Written | BaseException]:
    return await in_time(asyncio.gather(*futures, return_exceptions=True))


def _fate(result: Written | BaseException) -> str:
    match result:
        case Written():
            return result.verdict.outcome.name.lower()
        case StorageError():
            return result.kind
        case _:
            raise result


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


async def test_whoever_waited_for_the_deadline_is_told_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(4))  # two handed over, two waiting
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 4


async def test_nobody_is_given_up_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        early = await write_apart(writer, entries(3))
        clock.move(DEADLINE - 1)
        late = await write_apart(writer, entries(3))
        clock.move(1 + DEADLINE / 8)  # it is looked for eight times in a deadline
        assert await fates(early) == ["TIMEOUT"] * 3
        store.gate.set()
        assert await fates(late) == ["stored"] * 3


async def test_the_deadline_holds_again_after_a_quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    async with writing(store) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["stored"]
        clock.move(DEADLINE + 1)
        for _ in range(3):
            await checkpoint()  # the timer looks round, and finds nobody waiting
        store.gate.clear()
        future = writer.write(NOBODY, builders.postback())
        clock.move(DEADLINE + 1)
        assert await fates([future]) == ["TIMEOUT"]


async def test_the_deadline_needs_no_help_from_a_clock() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store, deadline=0.05) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["TIMEOUT"]


async def test_a_waiting_entry_that_was_given_up_is_never_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store, sent = LoopClock(monkeypatch), FakeStore(), entries(4)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, sent)
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 4
        later = builders.postback("c=later&value=1")
        store.gate.set()
        assert await fates([await admitted(writer, later)]) == ["stored"]
    assert store.batches == [sent[:1], sent[1:2], [later]]


@pytest.mark.parametrize("failures", [[], [FULL, FULL]])
async def test_the_late_result_of_a_batch_that_was_given_up_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception]
) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore(*failures)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(2))
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 2
        store.gate.set()
        assert (await (await admitted(writer, builders.postback()))).verdict == Verdict(Outcome.STORED, "3.0")


async def test_while_the_disk_hangs_newcomers_are_refused_at_once_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        hung = await write_apart(writer, entries(1))
        clock.move(DEADLINE + 1)
        assert await fates(hung) == ["TIMEOUT"]
        with pytest.raises(StorageError) as refused:
            writer.write(NOBODY, builders.postback())
        assert refused.value.kind == ErrorKind.TIMEOUT
        store.gate.set()
        assert await fates([await admitted(writer, builders.postback())]) == ["stored"]
    assert store.sizes == [1, 1]


async def test_on_a_slow_disk_only_as_many_may_wait_as_will_be_answered_in_time() -> None:
    store = FakeStore()
    async with writing(store, clock=Stopwatch(DEADLINE / 3)) as writer:
        await commit_often(writer)
        store.gate.clear()
        futures = await write_apart(writer, entries(1)) + [writer.write(NOBODY, entry) for entry in entries(MAX_BATCH)]
        with pytest.raises(Overloaded, match=f"{MAX_BATCH} postbacks are waiting already"):
            writer.write(NOBODY, builders.postback())
        store.gate.set()
        assert await fates(futures) == ["stored"] * (1 + MAX_BATCH)


async def test_on_a_disk_that_is_quick_again_the_whole_queue_may_wait() -> None:
    store, stopwatch = FakeStore(), Stopwatch(DEADLINE / 3)
    async with writing(store, capacity=4 * MAX_BATCH, clock=stopwatch) as writer:
        await commit_often(writer)
        stopwatch.seconds = 0.001
        await commit_often(writer)
        store.gate.clear()
        futures = await write_apart(writer, entries(1)) + [
            writer.write(NOBODY, entry) for entry in entries(4 * MAX_BATCH)
        ]
        store.gate.set()
        assert await fates(futures) == ["stored"] * (1 + 4 * MAX_BATCH)


async def test_a_slow_disk_gets_one_batch_at_a_time_so_that_more_gather_for_the_next() -> None:
    store = FakeStore()
    async with writing(store, clock=Stopwatch(0.1)) as writer:
        await commit_often(writer)
        store.batches.clear()
        store.gate.clear()
        futures = await write_apart(writer, entries(6))
        store.gate.set()
        assert await fates(futures) == ["stored"] * 6
    assert store.sizes == [1, 5]


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


async def test_an_entry_nobody_waits_for_any_more_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(5))
        for future in (futures[0], futures[3]):  # one being committed, one waiting beside others
            future.cancel()
        store.gate.set()
        assert await fates([futures[1], futures[2], futures[4]]) == ["stored"] * 3
        store.gate.clear()
        cancelled = [writer.write(NOBODY, builders.postback()), writer.write(NOBODY, builders.postback())]
        cancelled[0].cancel()
        clock.move(DEADLINE + 1)
        assert await fates(cancelled[1:]) == ["TIMEOUT"]


async def test_the_metrics_show_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, store, metrics = asyncio.get_running_loop(), FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics, capacity=7, clock=lambda: 5000.0) as writer:
        monkeypatch.setattr(loop, "time", lambda: 100.0)
        futures = await write_apart(writer, entries(1))
        monkeypatch.setattr(loop, "time", lambda: 101.0)
        futures += await write_apart(writer, entries(4))
        assert samples(metrics, "postback_queue_depth") == {(): 3.0}
        assert samples(metrics, "postback_queue_capacity") == {(): 7.0}
        assert samples(metrics, "postback_oldest_queued_timestamp_seconds") == {(): 4999.0}
        store.gate.set()
        assert await fates(futures) == ["stored"] * 5
        assert samples(metrics, "postback_queue_depth") == {}
        assert samples(metrics, "postback_oldest_queued_timestamp_seconds") == {}


async def test_the_metrics_count_each_commit_with_its_rows_and_seconds() -> None:
    metrics = Metrics()
    async with writing(FakeStore(), metrics, clock=ticking(10.0, 10.25, 20.0, 20.5)) as writer:
        written = await in_time(asyncio.gather(*[writer.write(NOBODY, postback) for postback in entries(3)]))
        assert [one.commit_seconds for one in written] == [0.25] * 3
        assert (await in_time(writer.write(NOBODY, builders.postback()))).commit_seconds == 0.5
    assert samples(metrics, "postback_commit_rows_sum") == {(): 4.0}
    assert samples(metrics, "postback_commit_rows_count") == {(): 2.0}
    assert samples(metrics, "postback_commit_duration_seconds_sum") == {(): 0.75}
    assert samples(metrics, "postback_commit_duration_seconds_bucket")["0.25",] == 1.0


async def test_the_metrics_count_a_failed_commit_by_its_class_and_not_as_a_commit() -> None:
    metrics = Metrics()
    async with writing(FakeStore(FULL), metrics) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["SQLITE_FULL"]
    assert samples(metrics, "postback_storage_errors_total") == {("commit", "SQLITE_FULL"): 1.0}
    assert samples(metrics, "postback_commit_rows_count") == {}


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
