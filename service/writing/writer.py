"""Owns group commit: a bounded queue, one commit after the other, for each entry a future resolved after its commit.

Whatever arrives while a commit is under way goes into the next one together; there is no artificial delay. All state
belongs to the event loop; what commits (committing.py) only ever sees batches and answers with their verdicts.

The queue is bounded in number and in time: on a slow disk only as many may wait as will be answered before the
deadline. Otherwise everybody would wait, be given up, and be stored for nothing.

More than a commit takes is written together only where all or none is promised. It has a commit to itself, and as many
places in the queue as any full commit, so that those who come one by one find theirs beside it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent import futures
from itertools import accumulate, chain
from typing import NamedTuple, Protocol, TypeVar

from service.core.batch import MAX_ATOMIC_ROWS
from service.core.judging import AllRefused, Manner, Part
from service.core.unavailable import ErrorKind, Overloaded, StorageBroken, StorageError
from service.core.verdict import Entry, Probe, Verdict
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics.books import Teller
from service.telemetry.metrics.commits import CommitCounts
from service.telemetry.metrics.counts import Queue
from service.writing.committing import Answer, Committing

CAPACITY = 4096
DEADLINE_SECONDS = 1.5  # every answer within 2 s (Branch hangs up then), the rest is for the way back
QUICK_SECONDS = 0.005  # a commit shorter than this is worth a second batch handed over; a longer one gathers more
SECOND_ROWS = 256  # that a second batch must have: a smaller one grows meanwhile, and fewer commits cost less
_SMOOTHING = 0.25  # of the last commit's duration in the running average
_WAITING_SHARE = 0.75  # of the deadline that commits ahead may take


class Writes(Protocol):
    """What makes an entry durable: a writer, or one with a spool behind it."""

    def write(self, teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> "Awaitable[Written]":
        """Return a verdict for each entry once all of them are durable. Raises Overloaded or StorageError for all.

        `manner` is what is known of the entries; where it says that all are stored or none, AllRefused is raised too.
        `teller` is told of them in the moment in which the verdicts go out, and must tell.
        """


class WritesOften(Writes, Protocol):
    """The same, and it knows how it fares."""

    def committed_within(self, seconds: float, /) -> bool:
        """Say whether a commit worked that recently."""


class Written(NamedTuple):
    """The verdicts of entries that were written together, in order, and how many seconds their commit took."""

    verdicts: Sequence[Verdict]
    commit_seconds: float

    @property
    def verdict(self) -> Verdict:
        """The verdict of an entry that was written alone."""
        (verdict,) = self.verdicts
        return verdict


class _Queued(NamedTuple):
    teller: Teller
    entries: tuple[Entry, ...]
    future: "asyncio.Future[Written]"
    at: float
    manner: Manner


class _Batch(NamedTuple):
    queued: list[_Queued]
    handed_over_at: float


Result = TypeVar("Result")


class Writer:
    """Commits entries in groups. `broken` is set when storage must not be used again: the process should stop.

    `deadline` is in seconds; while a commit takes less than `quick_seconds`, a second one of at least `second_rows` may
    wait for the disk. `clock` gives Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - its bounds
        self,
        committing: Committing,
        metrics: CommitCounts,
        *,
        capacity: int = CAPACITY,
        deadline: float = DEADLINE_SECONDS,
        quick_seconds: float = QUICK_SECONDS,
        second_rows: int = SECOND_ROWS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.broken = asyncio.Event()
        self._committing = committing
        self._metrics = metrics
        self._capacity = capacity
        self._deadline = deadline
        self._quick_seconds = quick_seconds
        self._second_rows = second_rows
        self._clock = clock
        self._pending: list[_Queued] = []
        self._only_new = True  # whatever was written so far: most processes never write anything else
        self._waiting = 0  # places that their entries take
        self._submitting = False  # in this turn of the loop
        self._in_flight: deque[_Batch] = deque()
        self._refusal: Exception | None = Overloaded("not started")
        self._stall: StorageError | None = None
        self._room = 0  # how many may wait; 0 while everybody is refused
        self._commit_seconds = 0.0  # running average
        self._committed_at = float("-inf")
        self._watch: asyncio.TimerHandle | None = None
        metrics.watch_queue(Queue(lambda: self._waiting, self._oldest, capacity))

    def start(self) -> None:
        """Begin; call it in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._committing.start(self._finish)
        self._refusal = None
        self._make_room()

    def write(self, teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> "asyncio.Future[Written]":
        """Queue entries for one commit; the future gives their verdicts after it, or StorageError for all.

        `teller` takes them over in the moment in which the future has its result. Up to MAX_ATOMIC_ROWS of them; more
        than MAX_BATCH only one after the other.

        Raises at once: Overloaded when the queue is full or closing, StorageError when storage is broken or hangs.
        """
        if not 0 < len(entries) <= MAX_ATOMIC_ROWS:
            raise ValueError(f"{len(entries)} entries, and a commit takes {MAX_ATOMIC_ROWS}")
        if self._waiting >= self._room:
            refusal = self._refusal or self._stall or Overloaded(f"{self._waiting} postbacks are waiting already")
            raise refusal.with_traceback(None)  # raised again and again, it would gather a traceback for each time
        future: asyncio.Future[Written] = self._loop.create_future()
        if manner is not Manner.NEW:
            self._only_new = False
        self._pending.append(tuple.__new__(_Queued, (teller, entries, future, self._loop.time(), manner)))
        self._waiting += _places(entries)
        if not self._submitting and self._may_hand_over():
            self._submitting = True
            self._loop.call_soon(self._submit)  # after the other requests that are ready in this turn of the loop
        if self._watch is None:
            self._watch = self._loop.call_later(self._deadline / 8, self._give_up_late)
        return future

    def submit(self, work: Callable[[], Result]) -> "futures.Future[Result]":
        """Do something at its turn among the commits, as Turns says."""
        return self._committing.submit(work)

    @property
    def room_left(self) -> int:
        """Say how many more may wait now."""
        return max(0, self._room - self._waiting)

    def committed_within(self, seconds: float) -> bool:
        """Say whether a commit worked that recently."""
        return self._loop.time() - self._committed_at <= seconds

    async def close(self) -> bool:
        """Refuse new entries, commit what waits, and end; False if a commit hangs."""
        self._refusal = self._refusal or Overloaded("shutting down")
        self._make_room()
        while waiting := [queued.future for queued in self._outstanding() if not queued.future.done()]:
            await asyncio.wait(waiting)
        return await self._committing.stop(self._deadline)

    def _outstanding(self) -> list[_Queued]:
        return [*chain.from_iterable(batch.queued for batch in self._in_flight), *self._pending]

    def _may_hand_over(self) -> bool:
        """Tell whether a commit may begin: none is under way, or a second one is large enough and the disk quick."""
        if not self._in_flight:
            return True
        worth_it = self._waiting >= self._second_rows and self._commit_seconds < self._quick_seconds
        return worth_it and len(self._in_flight) < self._committing.ahead

    def _make_room(self) -> None:
        batches = self._deadline * _WAITING_SHARE / max(self._commit_seconds, 1e-6)
        room = min(self._capacity, MAX_BATCH * max(1, int(batches) - 1))  # one is being committed
        self._room = 0 if self._refusal or self._stall else room

    def _submit(self) -> None:
        self._submitting = False
        if self._pending and self._may_hand_over():
            batch = self._take()
            self._in_flight.append(_Batch(batch, self._loop.time()))
            entries = [entry for queued in batch for entry in queued.entries]
            self._committing.hand_over(entries, () if self._only_new else _parts(batch))

    def _take(self) -> list[_Queued]:
        """Take as many from the head of the queue as one commit may hold."""
        if self._waiting <= MAX_BATCH:
            taken, self._pending, self._waiting = self._pending, [], 0
            return taken
        count = entries = 0
        for queued in self._pending:
            if entries + _places(queued.entries) > MAX_BATCH:
                break
            count, entries = count + 1, entries + _places(queued.entries)
        taken, self._pending = self._pending[:count], self._pending[count:]
        self._waiting -= entries
        return taken

    def _finish(self, answer: Answer, seconds: float) -> None:
        if isinstance(answer, StorageBroken):
            self._stop_using_storage(answer)
            return
        batch = self._in_flight.popleft().queued
        self._stall = None
        self._commit_seconds += (seconds - self._commit_seconds) * _SMOOTHING
        self._make_room()
        self._submit()  # the disk first: it works while the answers go out
        if isinstance(answer, Exception):
            self._fail(batch, answer)
            return
        self._committed_at = self._loop.time()
        self._metrics.count_commit(seconds, len(answer.verdicts))
        self._metrics.count_rows(answer.rows)
        if answer.not_kept:
            self._metrics.count_not_kept(answer.not_kept)
        if answer.late:
            self._metrics.count_rows(answer.late)
            self._metrics.count_late(sum(answer.late.values()))
        if answer.recognised:
            self._metrics.count_recognised(answer.recognised)
        first, verdicts = 0, answer.verdicts
        for teller, entries, future, _, _ in batch:
            count = len(entries)
            durable = 0 if type(entries[0]) is Probe else count  # a probe comes alone, and has no row
            if answer.unstored:
                durable -= sum(not isinstance(it, Probe) and it.raw.request_id in answer.unstored for it in entries)
            if future.done():  # it was given up
                self._metrics.count_late(durable)
            elif first in answer.refusals:
                future.set_exception(AllRefused(answer.refusals[first]))
            else:
                teller.durable(durable)
                future.set_result(tuple.__new__(Written, (verdicts[first : first + count], seconds)))
            first += count

    def _stop_using_storage(self, error: StorageBroken) -> None:
        doomed = self._outstanding()
        self._in_flight.clear()
        self._pending, self._waiting = [], 0
        self._refusal = error
        self._make_room()
        self._fail(doomed, error)
        self.broken.set()

    def _fail(self, batch: Sequence[_Queued], error: Exception) -> None:
        if isinstance(error, StorageError):
            self._metrics.count_storage_error("commit", error.kind)
            self._metrics.count_rows(error.rows)  # the part of a batch that was durable before the rest failed
            self._metrics.count_late(sum(error.rows.values()))
        for queued in batch:
            if not queued.future.done():
                queued.future.set_exception(error)

    def _give_up_late(self) -> None:
        """Answer those who have waited for the deadline: a sender that hung up is told nothing by a late 200."""
        limit = self._loop.time() - self._deadline
        late = [queued for queued in self._outstanding() if queued.at < limit and not queued.future.done()]
        self._pending = [queued for queued in self._pending if queued.at >= limit]
        self._waiting = sum(_places(queued.entries) for queued in self._pending)
        error = StorageError(f"no commit within {self._deadline} s", ErrorKind.TIMEOUT)
        if self._in_flight and self._in_flight[0].handed_over_at < limit:
            self._stall = error  # the disk hangs: refuse newcomers at once, until it answers
            self._make_room()
        if late:
            self._fail(late, error)
        outstanding = self._pending or self._in_flight
        again = self._deadline / 8
        self._watch = self._loop.call_later(again, self._give_up_late) if outstanding else None

    def _oldest(self) -> float:
        oldest = next(iter(self._outstanding()), None)
        return self._clock() - (self._loop.time() - oldest.at) if oldest else 0.0


def _places(entries: Sequence[Entry]) -> int:
    """Count the places that entries take which are written together: no more than a commit has."""
    return min(len(entries), MAX_BATCH)


def _parts(batch: Sequence[_Queued]) -> Sequence[Part]:
    """Say which entries of a batch are not simply new: most often none."""
    ends = accumulate(len(queued.entries) for queued in batch)
    parts = (Part(end - len(one.entries), end, one.manner) for one, end in zip(batch, ends, strict=True))
    return [part for part in parts if part.manner is not Manner.NEW]
