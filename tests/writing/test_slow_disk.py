"""A slow disk: only as many wait as are answered in time, and they go in as few batches as can be."""

from dataclasses import dataclass

import pytest

from service.core.unavailable import Overloaded
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics.books import NOBODY
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import FakeStore, in_time
from tests.support.writers import DEADLINE, entries, fates, write_apart, writing

pytestmark = pytest.mark.anyio


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
