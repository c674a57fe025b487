"""Owns the way back: entries leave the spool for the database in their order, and only once they are there.

They go through the database's own writer, beside live traffic: one connection, one order, one group commit. Each step
takes at most half of the places that are free, so live postbacks wait for one more batch at most; and up to a whole
batch, so the backlog shrinks much faster than it can grow. A step that fails is tried again from its beginning: what
the database has recorded of an entry is its verdict, so nothing is judged or stored twice.

A step takes from the own journal and from those that nobody has. Of a click id that waits in yet another journal, of a
process beside this one, the earlier entry goes first.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from service.core.judging import Manner
from service.core.outcome import Outcome
from service.core.postback import Postback
from service.core.unavailable import Overloaded, StorageBroken, StorageError
from service.core.verdict import ERASED, Probe
from service.spool.backlog import MOST, Backlog
from service.spool.journal import Journal
from service.spool.outage import Outage
from service.spool.pace import PACE, Pace
from service.spool.steps import Moved, Step, in_one_batch
from service.storage.daemon_thread import run_in_daemon_thread
from service.storage.spooling import ErasedEntry, Spooling
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY, Move
from service.writing.writer import Writer, Written

_STOP_SECONDS = 2.0  # a step ends by the writer's deadline; a disk that hangs is not waited for


class Drain:
    """The task that moves entries from journals to the database, and finds out when an outage is over."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        journal: Journal,
        database: Writer,
        outage: Outage,
        metrics: Metrics,
        log: Log,
        *,
        spooling: Callable[[], Spooling],
        pace: Pace = PACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._database = database
        self._outage = outage
        self._metrics = metrics
        self._books = metrics.books
        self._log = log.logger
        self._spooling = spooling
        self._pace = pace
        self._clock = clock
        self._identity = ""  # of the database, once it was asked
        self._most = MOST  # entries in a step; after a failure fewer, until a single one is left to blame
        self._failures = 0
        self._told_broken = False
        self._stopping = False

    async def begin(self, backlog: Backlog) -> None:
        """Start draining, what was found at the start first.

        Raises StorageError if the journal is for another database. If that is away now, the places are compared, and it
        is asked for its name before anything is drained.
        """
        self._backlog = backlog
        await run_in_daemon_thread(backlog.others.measure)
        if not self._outage.on:
            try:
                await self._know_database()
            except StorageError as error:
                if not self._outage.begin_with(error):
                    raise
        if not self._identity:
            await self._claim(None)
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
                waits = await self._step()
                self._failures = 0
                if not waits:
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

    async def _know_database(self) -> None:
        """Ask the database for its name, have the journal bear it, and compare the others'. Raises StorageError."""
        identity = await run_in_daemon_thread(lambda: self._spooling().identity())
        await self._claim(identity)
        self._identity = identity

    async def _claim(self, name: str | None) -> None:
        await run_in_daemon_thread(lambda: self._journal.claim(name))
        # after the own journal says it: of two that start at the same time, one sees the other's
        await run_in_daemon_thread(lambda: self._backlog.others.assert_same_database(name))

    async def _step(self) -> bool:
        """Move the oldest entries; say whether there were any. Raises what kept them from being moved."""
        if not self._identity and not self._told_broken:
            await self._backlog.look_around()
            await self._database.write(NOBODY, Probe(datetime.now(UTC)))
            await self._know_database()
        async with self._backlog.in_hand(self._identity) as journals:
            steps = await self._backlog.oldest(journals)
            if steps and self._failures >= self._pace.suspicious:
                await self._suspect(steps[0], [step for step in steps if step.key != steps[0].key][:1])
            elif steps:
                await self._move(in_one_batch(steps)[: self._most])
        if not steps and self._outage.on and not self._outage.entering:
            await self._database.write(NOBODY, Probe(datetime.now(UTC)))
            self._outage.end()
        if not steps and self._backlog.held_back:
            await asyncio.sleep(self._pace.delay(0))
        return bool(steps) or self._backlog.held_back

    async def _move(self, steps: Sequence[Step]) -> None:
        """Commit as many of the steps as there is room for, and remove them."""
        steps = steps[: (self._database.room_left + 1) // 2]
        with self._books.move() as move:
            futures = [self._database.write(move, step.entry, manner=Manner.DRAINED) for step in steps]
            if not futures:
                raise Overloaded("live postbacks take every place")
            results = list(zip(steps, await asyncio.gather(*futures, return_exceptions=True), strict=True))
            if moved := [Moved(step, result.verdict) for step, result in results if isinstance(result, Written)]:
                self._outage.end()
                await self._note_erased([one.step for one in moved if one.verdict is ERASED])
                for journal in dict.fromkeys(one.step.journal for one in moved):
                    await self._remove(move, journal, [one for one in moved if one.step.journal is journal])
        self._most = MOST
        for error in (result for _, result in results if isinstance(result, Exception)):
            self._most = max(1, len(steps) // 4)
            if isinstance(error, StorageError):
                self._outage.begin(error)
            raise error

    async def _suspect(self, oldest: Step, another: Sequence[Step]) -> None:
        """Tell a database that is away from an entry that no attempt can move: the others must not wait for it."""
        try:
            await self._move([oldest])
        except Exception:
            if not another:
                raise
            await self._move(another)  # raises if this one cannot be moved either: then it is the database
            await self._move_or_put_aside(oldest)

    async def _move_or_put_aside(self, step: Step) -> None:
        try:
            await self._move([step])
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be this entry's
            self._backlog.put_aside(step.waiting, error)

    async def _note_erased(self, steps: Sequence[Step]) -> None:
        """Have the book say that these were dropped, before they leave the journal."""
        if steps:
            noted = [
                ErasedEntry(one.waiting.request_id, one.waiting.outcome, one.entry.raw.received_at) for one in steps
            ]
            await run_in_daemon_thread(lambda: self._spooling().note_erased(noted))

    async def _remove(self, move: Move, journal: Journal, moved: Sequence[Moved]) -> None:
        """Take what is in the database out of its journal, and count both in one turn of the loop.

        Until then nobody was told of them. A journal that cannot be written for a while is tried for ever.
        """
        seqs = [one.step.waiting.seq for one in moved]
        failures = 0
        while True:
            try:
                removed = await run_in_daemon_thread(lambda: journal.remove(seqs))
                break
            except StorageError as error:
                if isinstance(error, StorageBroken):
                    raise
                self._metrics.count_storage_error("spool", error.kind)
                await asyncio.sleep(self._pace.delay(failures))
                failures += 1
        own = journal is self._journal
        self._backlog.others.left -= 0 if own else removed
        inherited = sum(seq <= journal.found_up_to for seq in seqs) if own else removed
        move.left(Counter(one.became for one in moved), removed, inherited, adopted=0 if own else removed)
        for one in moved:
            self._tell_moved(one)

    def _tell_moved(self, moved: Moved) -> None:
        """Log what the canonical line could not know: it said `spooled`."""
        step, verdict = moved
        request_id = step.waiting.request_id
        if verdict is ERASED:
            self._log.warning("drained", outcome=moved.became, request_id=request_id, detail=verdict.detail)
        elif not isinstance(step.entry, Postback):
            return
        elif verdict.outcome is Outcome.STORED and not step.entry.is_test:
            self._metrics.last_stored_at = self._clock()
        elif verdict.outcome.kept:
            click_id, detail = step.entry.click_id, verdict.detail
            self._log.warning("drained", outcome=moved.became, request_id=request_id, click_id=click_id, detail=detail)
