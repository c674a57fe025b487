"""Owns the way back: entries leave the spool for the database in their order, and only once they are there.

They go through the database's own writer, beside live traffic: one connection, one order, one group commit. Each step
takes at most half of the places that are free, so live postbacks wait for one more batch at most; and up to a whole
batch, so the backlog shrinks much faster than it can grow. A step that fails is tried again from its beginning: the
database knows its own rows, so nothing is stored twice.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from service.core.judging import Manner
from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, Overloaded, StorageBroken, StorageError
from service.core.verdict import Probe, Verdict
from service.spool.encoding import Kept, Unreadable, decode
from service.spool.following import MOST_REMEMBERED
from service.spool.journal import Journal, Waiting
from service.spool.outage import Outage
from service.storage.daemon_thread import run_in_daemon_thread
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY, Move
from service.writing.writer import Writer, Written

_MOST = 256  # entries in a step: they are decoded in one turn of the event loop
_STOP_SECONDS = 2.0  # a step ends by the writer's deadline; a disk that hangs is not waited for


class Pace(NamedTuple):
    """How patiently the drain tries again. All in seconds but `suspicious`.

    After so many failures in a row the oldest entry itself may be the reason; it was alone in the last ones.
    """

    first_delay: float = 0.1  # between two attempts to reach a database that is away
    longest_delay: float = 2.0
    suspicious: int = 8
    idle: float = 5.0  # between two looks at a spool that nobody put anything into
    passed_over: float = 30.0  # until an entry that could not be moved alone is tried again

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row: twice as long each time, a random half of it."""
        longest: float = min(self.longest_delay, self.first_delay * 2 ** min(failures, 10))
        return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret


PACE = Pace()


class _Step(NamedTuple):
    waiting: Waiting
    entry: Kept

    @property
    def key(self) -> ConversionKey | int:
        """Return what entries that must keep their order have in common."""
        return self.entry.key if isinstance(self.entry, Postback) else self.waiting.seq


class Drain:
    """The task that moves entries from a journal to the database, and finds out when an outage is over."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        journal: Journal,
        database: Writer,
        outage: Outage,
        metrics: Metrics,
        log: Log,
        *,
        pace: Pace = PACE,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._database = database
        self._outage = outage
        self._following = outage.following
        self._metrics = metrics
        self._books = metrics.books
        self._log = log.logger
        self._pace = pace
        self._monotonic = monotonic
        self._clock = clock
        self._tried_up_to = 0  # the seq up to which commits were tried: their rows may be there already
        self._set_aside: dict[int, float] = {}  # entries that could not be moved alone, and when to try them again
        self._in_hand: list[_Step] | None = None  # the whole backlog, when one look saw all of it
        self._most = _MOST  # entries in a step; after a failure fewer, until a single one is left to blame
        self._failures = 0
        self._told_broken = False
        self._stopping = False

    def start(self) -> None:
        """Start draining, what was found at the start first; call it in the running loop."""
        self._tried_up_to = self._journal.found_up_to  # an earlier process may have been killed before it removed them
        self._following.found(self._journal.click_ids(MOST_REMEMBERED + 1))
        self._task = asyncio.create_task(self._drain_forever())

    async def stop(self) -> None:
        """Finish the step under way, or give it up if it takes too long; what is left waits for the next start."""
        self._stopping = True
        self._outage.wake.set()
        await asyncio.wait([self._task], timeout=_STOP_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _drain_forever(self) -> None:
        while not self._stopping:
            self._outage.wake.clear()
            try:
                moved = await self._step()
                self._failures = 0
                if not moved and not await self._take_over():
                    await self._rest()
            except (StorageError, Overloaded):
                self._tell_broken()
                await self._wait()
            except Exception:  # noqa: BLE001 - whatever it is, the spool must be drained
                self._log.exception("drain_failed")
                await self._wait()

    def _tell_broken(self) -> None:
        if self._journal.broken and not self._told_broken:
            self._told_broken = True  # the database can still come back, and postbacks go there then
            self._log.critical("spool_broken", reason=str(self._journal.broken), waiting=self._metrics.spool.entries)

    async def _wait(self) -> None:
        await asyncio.sleep(self._pace.delay(self._failures))
        self._failures += 1

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._pace.idle):
                await self._outage.wake.wait()
        except TimeoutError:
            if not self._told_broken:
                await run_in_daemon_thread(self._journal.measure)

    async def _take_over(self) -> bool:
        """Fetch what a process of this worker left that ended during an outage; say whether there was any."""
        if self._outage.on or self._told_broken or self._stopping:
            return False
        taken = await run_in_daemon_thread(lambda: self._journal.take_over(_MOST))
        if taken:
            self._following.found(await run_in_daemon_thread(lambda: self._journal.click_ids(MOST_REMEMBERED + 1)))
        self._tried_up_to = max(self._tried_up_to, self._journal.found_up_to)
        return taken > 0

    async def _step(self) -> bool:
        """Move the oldest entries; say whether there were any. Raises what kept them from being moved."""
        self._following.look()
        waiting = await self._oldest()
        steps = [step for step in map(self._read, waiting) if step]
        self._in_hand = steps if len(waiting) < _MOST else None
        self._tell_what_waits()
        if steps and self._failures >= self._pace.suspicious:
            await self._suspect(steps[0], [step for step in steps if step.key != steps[0].key][:1])
        elif steps:
            await self._move(_in_one_batch(steps)[: self._most])
        elif self._outage.on and not waiting and not self._following.anybody_entering:
            await self._database.write(NOBODY, Probe(datetime.now(UTC)))
            self._outage.end()
        return bool(waiting)

    def _tell_what_waits(self, left: Collection[int] = ()) -> None:
        """Say which click ids still wait, while the whole backlog is in hand; `left` has just left it."""
        if self._in_hand is not None:
            self._in_hand = [step for step in self._in_hand if step.waiting.seq not in left]
            self._following.seen([step.entry.click_id for step in self._in_hand if isinstance(step.entry, Postback)])

    async def _oldest(self) -> list[Waiting]:
        if self._told_broken:
            return []
        now = self._monotonic()
        passing_over = [seq for seq, again_at in self._set_aside.items() if again_at > now]
        return await run_in_daemon_thread(lambda: self._journal.oldest(_MOST, passing_over))

    def _read(self, waiting: Waiting) -> _Step | None:
        try:
            return _Step(waiting, decode(waiting.version, waiting.outcome, waiting.text))
        except Unreadable as error:
            self._putaside(waiting, error)
            return None

    def _putaside(self, waiting: Waiting, error: Exception) -> None:
        """Let the others pass: for a while if the database failed, until the next start if it is the entry itself."""
        passes = isinstance(error, StorageError) and error.kind != ErrorKind.PG_OTHER
        self._set_aside[waiting.seq] = self._monotonic() + (self._pace.passed_over if passes else float("inf"))
        tell = self._log.warning if passes else self._log.critical
        event = "spool_entry_passed_over" if passes else "spool_entry_set_aside"
        tell(event, seq=waiting.seq, request_id=waiting.request_id, reason=str(error))

    async def _move(self, steps: Sequence[_Step]) -> None:
        """Commit as many of the steps as there is room for, and remove them."""
        steps = steps[: (self._database.room_left + 1) // 2]
        with self._books.move() as move:
            futures = [self._database.write(move, step.entry, manner=self._manner(step)) for step in steps]
            if not futures:
                raise Overloaded("live postbacks take every place")
            self._tried_up_to = max(self._tried_up_to, steps[-1].waiting.seq)
            results = list(zip(steps, await asyncio.gather(*futures, return_exceptions=True), strict=True))
            if committed := [(step, result.verdict) for step, result in results if isinstance(result, Written)]:
                self._outage.end()
                await self._remove(move, committed)
        self._most = _MOST
        for error in (result for _, result in results if isinstance(result, Exception)):
            self._most = max(1, len(steps) // 4)
            if isinstance(error, StorageError):
                self._outage.begin(error)
            raise error

    async def _suspect(self, oldest: _Step, another: Sequence[_Step]) -> None:
        """Tell a database that is away from an entry that no attempt can move: the others must not wait for it."""
        try:
            await self._move([oldest])
        except Exception:
            if not another:
                raise
            await self._move(another)  # raises if this one cannot be moved either: then it is the database
            await self._move_or_putaside(oldest)

    async def _move_or_putaside(self, step: _Step) -> None:
        try:
            await self._move([step])
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be this entry's
            self._putaside(step.waiting, error)

    def _manner(self, step: _Step) -> Manner:
        again = step.waiting.seq <= self._tried_up_to or step.waiting.request_id in self._outage.may_hold
        return Manner.DRAINED if again else Manner.NEW

    async def _remove(self, move: Move, committed: Sequence[tuple[_Step, Verdict]]) -> None:
        """Take what is in the database out of the journal, and count both in one turn of the loop.

        Until then nobody was told of them. If the journal cannot be written, this is tried for ever, for there is no
        other way to go on: committing them again would keep duplicates and rejections twice.
        """
        seqs = [step.waiting.seq for step, _ in committed]
        failures = 0
        while True:
            try:
                removed = await run_in_daemon_thread(lambda: self._journal.remove(seqs))
                break
            except StorageError as error:
                if isinstance(error, StorageBroken):
                    raise
                self._metrics.count_storage_error("spool", error.kind)
                await asyncio.sleep(self._pace.delay(failures))
                failures += 1
        inherited = sum(seq <= self._journal.found_up_to for seq in seqs)
        move.left(Counter(_became(step, verdict) for step, verdict in committed), removed, inherited)
        self._tell_what_waits(set(seqs))
        for step, verdict in committed:
            self._tell_moved(step, verdict)

    def _tell_moved(self, step: _Step, verdict: Verdict) -> None:
        self._outage.may_hold.discard(step.waiting.request_id)
        if not isinstance(step.entry, Postback):
            return
        if verdict.outcome is Outcome.STORED and not step.entry.is_test:
            self._metrics.last_stored_at = self._clock()
        elif verdict.outcome.kept:
            self._tell_kept(step, verdict)

    def _tell_kept(self, step: _Step, verdict: Verdict) -> None:
        """Log what the canonical line could not know: it said `spooled`."""
        kept, word = step.waiting.request_id, verdict.outcome.value
        click_id = step.entry.click_id
        self._log.warning("drained", outcome=word, request_id=kept, click_id=click_id, detail=verdict.detail)


def _became(step: _Step, verdict: Verdict) -> str:
    """Return the word for what became of an entry: a rejection is what it was."""
    return str(verdict.outcome.value) if isinstance(step.entry, Postback) else "rejected"


def _in_one_batch(steps: Sequence[_Step]) -> list[_Step]:
    """Return the steps before the first that brings a key of theirs with another value or status.

    The writer may commit them in two batches, of which the first can fail: the later value must not be stored then.
    """
    said: dict[ConversionKey, tuple[int, str | None, str | None]] = {}
    for place, step in enumerate(steps):
        if isinstance(step.entry, Postback):
            now = (step.entry.value_micros, step.entry.currency, step.entry.conversion_status)
            if said.setdefault(step.entry.key, now) != now:
                return list(steps[:place])
    return list(steps)
