"""Commits on the event loop: one at a time, the loop free meanwhile, each batch told, and an end in bounded time.

What a writer makes of the answers is the same wherever commits are made: test_writer.py has it, with a thread.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from anyio.lowlevel import checkpoint

from service.core.judging import Part
from service.core.unavailable import ErrorKind, Overloaded, StorageBroken, StorageError
from service.core.verdict import STORED, Entry
from service.storage.ledger import MAX_BATCH, Committed
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.committing import OnLoop
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import LoopClock, in_time, samples
from tests.support.writers import DEADLINE, Future, entries

pytestmark = pytest.mark.anyio

AWAY = StorageError("PG_CONNECTION: connection refused", ErrorKind.PG_CONNECTION)
BROKEN = StorageBroken("SQLITE_IOERR: disk I/O error", ErrorKind.SQLITE_IOERR)


class Server:
    """Storage that is waited for: it commits while its gate is open, and fails a commit for each of `failures`."""

    def __init__(self, *failures: Exception) -> None:
        self.sizes: list[int] = []
        self.at_work = 0
        self.most_at_work = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._failures = list(failures)

    async def commit_async(self, entries: Sequence[Entry], _parts: Sequence[Part] = ()) -> Committed:
        """Say that all of them are stored."""
        self.sizes.append(len(entries))
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await self.gate.wait()
            await checkpoint()
        finally:
            self.at_work -= 1
        if self._failures:
            raise self._failures.pop(0)
        return Committed([STORED] * len(entries), {"conversion": len(entries)})


@asynccontextmanager
async def writing(
    server: Server, metrics: Metrics | None = None, *, deadline: float = DEADLINE
) -> AsyncIterator[Writer]:
    writer = Writer(OnLoop(server), metrics or Metrics(), deadline=deadline)
    writer.start()
    try:
        yield writer
    finally:
        server.gate.set()
        await in_time(writer.close())


async def write_apart(writer: Writer, count: int) -> list[Future]:
    """Write each in a turn of the loop of its own, and let the first commit begin."""
    futures: list[Future] = []
    for entry in entries(count):
        futures.append(writer.write(NOBODY, entry))
        for _ in range(3):
            await checkpoint()
    return futures


async def kinds(futures: Sequence[Future]) -> list[str]:
    told = await in_time(asyncio.gather(*futures, return_exceptions=True))
    return [one.kind if isinstance(one, StorageError) else "stored" for one in told]


async def test_while_a_commit_is_waited_for_the_loop_goes_on_and_the_next_one_gathers() -> None:
    server = Server()
    server.gate.clear()
    async with writing(server) as writer:
        futures = await write_apart(writer, 6)
        assert server.sizes == [1]
        assert not any(future.done() for future in futures)
        server.gate.set()
        assert await kinds(futures) == ["stored"] * 6
    assert server.sizes == [1, 5]


async def test_however_many_come_one_batch_at_a_time_is_committed() -> None:
    server, rounds = Server(), 200
    async with writing(server) as writer:

        async def press() -> None:
            for _ in range(rounds):
                await writer.write(NOBODY, builders.postback())

        await in_time(asyncio.gather(*[press() for _ in range(10)]))
    assert sum(server.sizes) == 10 * rounds
    assert server.most_at_work == 1


async def test_a_full_queue_goes_in_batches_that_storage_takes() -> None:
    server = Server()
    server.gate.clear()
    async with writing(server) as writer:
        first = await write_apart(writer, 1)
        rest = [writer.write(NOBODY, entry) for entry in entries(2 * MAX_BATCH + 1)]
        server.gate.set()
        assert await kinds([*first, *rest]) == ["stored"] * (2 * MAX_BATCH + 2)
    assert server.sizes == [1, MAX_BATCH, MAX_BATCH, 1]


@pytest.mark.parametrize("failure", [AWAY, RuntimeError("a bug in storage")])
async def test_a_failed_commit_fails_its_own_batch_and_the_next_one_is_tried(failure: Exception) -> None:
    server = Server(failure)
    server.gate.clear()
    async with writing(server) as writer:
        futures = await write_apart(writer, 3)
        server.gate.set()
        with pytest.raises(type(failure)):
            await in_time(futures[0])
        assert await kinds(futures[1:]) == ["stored"] * 2
        assert not writer.broken.is_set()


async def test_broken_storage_is_never_called_again() -> None:
    server = Server(BROKEN)
    server.gate.clear()
    async with writing(server) as writer:
        futures = await write_apart(writer, 3)
        server.gate.set()
        assert await kinds(futures) == [BROKEN.kind] * 3
        assert writer.broken.is_set()
        with pytest.raises(StorageBroken):
            writer.write(NOBODY, builders.postback())
    assert server.sizes == [1]


async def test_whoever_waited_for_the_deadline_is_told_and_a_late_commit_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, server, metrics = LoopClock(monkeypatch), Server(), Metrics()
    server.gate.clear()
    async with writing(server, metrics) as writer:
        futures = await write_apart(writer, 3)
        clock.move(DEADLINE + 1)
        assert await kinds(futures) == ["TIMEOUT"] * 3
        with pytest.raises(StorageError):
            writer.write(NOBODY, builders.postback())  # it hangs, so nobody need wait to find out
        server.gate.set()
        for _ in range(5):
            await checkpoint()
        assert await kinds([writer.write(NOBODY, builders.postback())]) == ["stored"]
    assert server.sizes == [1, 1]
    assert samples(metrics, "postback_late_commits_total") == {(): 1.0}


async def test_a_turn_is_taken_on_another_thread_while_a_commit_is_under_way() -> None:
    server = Server()
    server.gate.clear()
    async with writing(server) as writer:
        future = (await write_apart(writer, 1))[0]
        assert await in_time(asyncio.wrap_future(writer.submit(threading.get_ident))) != threading.get_ident()
        assert not future.done()


async def test_storage_that_breaks_at_a_turn_is_used_no_more() -> None:
    async with writing(Server()) as writer:
        with pytest.raises(StorageBroken):
            await in_time(asyncio.wrap_future(writer.submit(fail)))
        await in_time(writer.broken.wait())
        with pytest.raises(StorageBroken):
            writer.write(NOBODY, builders.postback())
        with pytest.raises(StorageError, match="commits have ended"):
            await in_time(asyncio.wrap_future(writer.submit(fail)))


def fail() -> None:
    raise BROKEN


async def test_close_commits_what_it_took_and_refuses_the_rest() -> None:
    server = Server()
    server.gate.clear()
    async with writing(server) as writer:
        futures = await write_apart(writer, 4)
        closing = asyncio.create_task(writer.close())
        await checkpoint()
        with pytest.raises(Overloaded, match="shutting down"):
            writer.write(NOBODY, builders.postback())
        server.gate.set()
        assert await in_time(closing)
        assert await kinds(futures) == ["stored"] * 4


async def test_close_gives_up_a_commit_that_hangs_and_says_so() -> None:
    server = Server()
    server.gate.clear()
    async with writing(server, deadline=0.05) as writer:
        futures = await write_apart(writer, 3)
        assert not await in_time(writer.close())
        assert await kinds(futures) == ["TIMEOUT"] * 3
        await checkpoint()
        assert server.at_work == 0  # nothing of it is left in the loop


async def test_a_writer_that_never_wrote_closes_at_once() -> None:
    async with writing(Server()) as writer:
        assert await in_time(writer.close())
