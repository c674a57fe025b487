"""Owns where commits are made: a file blocks, so it has a thread of its own; a server is waited for on the event loop.

The thread fights the loop for the interpreter at every step it takes. Where a commit is many steps and much waiting, as
on a server, that costs a quarter of the rate.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol, TypeVar

from service.core.judging import Part
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry
from service.storage.ledger import Committed
from service.storage.turns import Turns

Answer = Committed | Exception
Finish = Callable[[Answer, float], None]
Result = TypeVar("Result")
_Batch = tuple[list[Entry], Sequence[Part]]
_Turn = Callable[[Exception | None], StorageBroken | None]  # given why not, it refuses; says what broke storage
_ENDED = "commits have ended: this was not done"


class Store(Protocol):
    """Storage with a blocking commit that is all durable or raises StorageError."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = (), /) -> Committed:
        """Return one verdict for each entry, in order, and how many rows were written."""


class AsyncStore(Protocol):
    """The same with a commit that lets the event loop serve others."""

    async def commit_async(self, entries: Sequence[Entry], parts: Sequence[Part] = (), /) -> Committed:
        """Return one verdict for each entry, in order, and how many rows were written."""


class Committing(Turns, Protocol):
    """Makes commits one after the other, and gives others their turns.

    `ahead` is how many batches are worth handing over at the same time.
    """

    ahead: int

    def start(self, finish: Finish) -> None:
        """Begin, in the running loop, which hears of each batch in turn: its answer, and how many seconds it took.

        After StorageBroken nothing more is done, and nothing more is told.
        """

    def hand_over(self, entries: list[Entry], parts: Sequence[Part] = ()) -> None:
        """Commit these after what was handed over before; `parts` says which of them are not simply new."""

    async def stop(self, seconds: float) -> bool:
        """End after what was handed over; False if that takes longer than so many seconds."""


class _Inbox:
    """What waits for a thread, in its order; `None` ends it. After the end every turn is refused, and none is lost."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Batch | _Turn | None] = SimpleQueue()
        self._lock = Lock()
        self._ended = False

    def submit(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Put a turn."""
        future: futures.Future[Result] = futures.Future()
        turn = partial(_do, work, future)
        with self._lock:
            if not self._ended:
                self.queue.put(turn)
                return future
        turn(StorageError(_ENDED, ErrorKind.TIMEOUT))
        return future

    def close(self) -> None:
        """End after what waits now."""
        with self._lock:
            self._ended = True
            self.queue.put(None)

    def refuse_rest(self) -> None:
        """Refuse the turns that wait, when the thread has ended."""
        with self._lock:
            self._ended = True
        with suppress(Empty):
            while True:
                if callable(turn := self.queue.get_nowait()):
                    turn(StorageError(_ENDED, ErrorKind.TIMEOUT))


class OnThread:
    """Commits on one thread. A second batch is worth handing over: the disk never waits for the event loop then.

    `clock` gives seconds, to measure how long a commit took.
    """

    ahead = 2

    def __init__(self, store: Store, clock: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._inbox = _Inbox()

    def start(self, finish: Finish) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._finish = finish
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def hand_over(self, entries: list[Entry], parts: Sequence[Part] = ()) -> None:
        """Commit these after what was handed over before."""
        self._inbox.queue.put((entries, parts))

    def submit(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Have the thread do it between two commits."""
        return self._inbox.submit(work)

    async def stop(self, seconds: float) -> bool:
        """End the thread; False if the disk hangs and the thread with it."""
        self._inbox.close()
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        self._commit_forever()
        self._inbox.refuse_rest()

    def _commit_forever(self) -> None:
        while (batch := self._inbox.queue.get()) is not None:
            answer: Answer | None
            started = self._clock()
            if callable(batch):
                answer = batch(None)
            else:
                try:
                    answer = self._store.commit(*batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, its own batch must hear of it
                    answer = error
            if answer is not None:
                self._loop.call_soon_threadsafe(self._finish, answer, self._clock() - started)
            if isinstance(answer, StorageBroken):
                return  # what was handed over already is failed by who hears of this, and must not touch the disk


class OnLoop:
    """Commits on the event loop. One batch at a time: while it is waited for, the next one gathers.

    Turns have a thread of their own beside it. `clock` gives seconds, to measure how long a commit took.
    """

    ahead = 1

    def __init__(self, store: AsyncStore, clock: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._commit: asyncio.Task[None] | None = None
        self._inbox = _Inbox()

    def start(self, finish: Finish) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._finish = finish
        self._thread = Thread(target=self._work, name="turns", daemon=True)
        self._thread.start()

    def hand_over(self, entries: list[Entry], parts: Sequence[Part] = ()) -> None:
        """Commit these; nothing else is being committed."""
        self._commit = self._loop.create_task(self._commit_one(entries, parts))

    def submit(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Have the other thread do it, while commits go on."""
        return self._inbox.submit(work)

    async def stop(self, seconds: float) -> bool:
        """Wait for the commit and the turn that are under way; what takes longer is given up."""
        self._inbox.close()
        end = time.monotonic() + seconds
        done = True
        if self._commit:
            done = bool((await asyncio.wait([self._commit], timeout=seconds))[0])
            self._commit.cancel()
        await asyncio.to_thread(self._thread.join, max(0.0, end - time.monotonic()))
        return done and not self._thread.is_alive()

    async def _commit_one(self, entries: list[Entry], parts: Sequence[Part]) -> None:
        started = self._clock()
        answer: Answer
        try:
            answer = await self._store.commit_async(entries, parts)
        except Exception as error:  # noqa: BLE001 - whatever it is, its own batch must hear of it
            answer = error
        self._finish(answer, self._clock() - started)

    def _work(self) -> None:
        while callable(turn := self._inbox.queue.get()):
            if broken := turn(None):
                self._loop.call_soon_threadsafe(self._finish, broken, 0.0)
                break
        self._inbox.refuse_rest()


def _do(
    work: Callable[[], Result], future: "futures.Future[Result]", refusal: Exception | None
) -> StorageBroken | None:
    try:
        if refusal:
            raise refusal  # noqa: TRY301 - it is the future's, like what the work raises
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - whoever asked for it must hear of it
        future.set_exception(error)
        return error if isinstance(error, StorageBroken) else None
    return None
