"""Owns where commits are made: a file blocks, so it has a thread of its own; a server is waited for on the event loop.

The thread fights the loop for the interpreter at every step it takes. Where a commit is many steps and much waiting, as
on a server, that costs a quarter of the rate.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Protocol, TypeVar

from service.core.unavailable import StorageBroken
from service.core.verdict import Entry
from service.storage.ledger import Committed

Answer = Committed | Exception
Finish = Callable[[Answer, float], None]
Result = TypeVar("Result")
_Aside = Callable[[], StorageBroken | None]  # says after what storage must not be used again


class Store(Protocol):
    """Storage with a blocking commit that is all durable or raises StorageError."""

    def commit(self, entries: Sequence[Entry], /) -> Committed:
        """Return one verdict for each entry, in order, and how many rows were written."""


class AsyncStore(Protocol):
    """The same with a commit that lets the event loop serve others."""

    async def commit_async(self, entries: Sequence[Entry], /) -> Committed:
        """Return one verdict for each entry, in order, and how many rows were written."""


class Committing(Protocol):
    """Makes commits one after the other. `ahead` is how many batches are worth handing over at the same time."""

    ahead: int

    def start(self, finish: Finish) -> None:
        """Begin, in the running loop, which hears of each batch in turn: its answer, and how many seconds it took.

        After StorageBroken nothing more is done, and nothing more is told.
        """

    def hand_over(self, entries: list[Entry]) -> None:
        """Commit these after what was handed over before."""

    def aside(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Do something that no commit is beside, if storage needs that; call it on any thread.

        Postbacks may wait for it as for a commit, so it must be short; once commits have ended it may not be done. What
        it raises is the future's; StorageBroken ends commits as well.
        """

    async def stop(self, seconds: float) -> bool:
        """End after what was handed over; False if that takes longer than so many seconds."""


class OnThread:
    """Commits on one thread. A second batch is worth handing over: the disk never waits for the event loop then."""

    ahead = 2

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inbox: SimpleQueue[list[Entry] | _Aside | None] = SimpleQueue()

    def start(self, finish: Finish) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._finish = finish
        self._thread = Thread(target=self._commit_forever, name="writer", daemon=True)
        self._thread.start()

    def hand_over(self, entries: list[Entry]) -> None:
        """Commit these after what was handed over before."""
        self._inbox.put(entries)

    def aside(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Have the thread do it between two commits."""
        future: futures.Future[Result] = futures.Future()
        self._inbox.put(partial(_do, work, future))
        return future

    async def stop(self, seconds: float) -> bool:
        """End the thread; False if the disk hangs and the thread with it."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    def _commit_forever(self) -> None:
        while (batch := self._inbox.get()) is not None:
            answer: Answer | None
            started = time.perf_counter()
            if callable(batch):
                answer = batch()
            else:
                try:
                    answer = self._store.commit(batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, its own batch must hear of it
                    answer = error
            if answer is not None:
                self._loop.call_soon_threadsafe(self._finish, answer, time.perf_counter() - started)
            if isinstance(answer, StorageBroken):
                return  # what was handed over already is failed by who hears of this, and must not touch the disk


class OnLoop:
    """Commits on the event loop. One batch at a time: while it is waited for, the next one gathers."""

    ahead = 1

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._commit: asyncio.Task[None] | None = None

    def start(self, finish: Finish) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._finish = finish

    def hand_over(self, entries: list[Entry]) -> None:
        """Commit these; nothing else is being committed."""
        self._commit = self._loop.create_task(self._commit_one(entries))

    def aside(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Do it at once, on the calling thread: a server gives everybody their turn."""
        future: futures.Future[Result] = futures.Future()
        if broken := _do(work, future):
            self._loop.call_soon_threadsafe(self._finish, broken, 0.0)
        return future

    async def stop(self, seconds: float) -> bool:
        """Wait for the commit that is under way; one that takes longer is given up."""
        if self._commit is None:
            return True
        done, _ = await asyncio.wait([self._commit], timeout=seconds)
        self._commit.cancel()
        return bool(done)

    async def _commit_one(self, entries: list[Entry]) -> None:
        started = time.perf_counter()
        answer: Answer
        try:
            answer = await self._store.commit_async(entries)
        except Exception as error:  # noqa: BLE001 - whatever it is, its own batch must hear of it
            answer = error
        self._finish(answer, time.perf_counter() - started)


def _do(work: Callable[[], Result], future: "futures.Future[Result]") -> StorageBroken | None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - whoever asked for it must hear of it
        future.set_exception(error)
        return error if isinstance(error, StorageBroken) else None
    return None
