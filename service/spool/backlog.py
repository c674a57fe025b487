"""Owns what is to leave the spool next: of the own journal and of those that nobody has, the oldest entries in order.

Of a click id that also waits in a journal of a process beside this one, the earlier entry goes first. Comparing the
oldest of each journal has no circle in it, whatever the clock did: the earliest of all may always go.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from service.core.unavailable import ErrorKind, StorageError
from service.spool.encoding import Unreadable, decode
from service.spool.journal import Journal
from service.spool.journal_schema import Waiting
from service.spool.others import Others
from service.spool.pace import Pace
from service.spool.steps import Step, before, in_order
from service.spool.waiting import Came, WaitingClickIds
from service.storage.daemon_thread import run_in_daemon_thread
from service.telemetry.log import Log

MOST = 256  # entries in a step: they are decoded in one turn of the event loop


class Backlog:
    """The entries that one process may move. `held_back` says whether some of them wait for another process's."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        journal: Journal,
        others: Others,
        waiting: WaitingClickIds,
        log: Log,
        pace: Pace,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.others = others
        self.held_back = False
        self._journal = journal
        self._waiting = waiting
        self._log = log.logger
        self._pace = pace
        self._monotonic = monotonic
        self._looked_around = float("-inf")  # when journals without a flag were looked into
        self._set_aside: dict[str, float] = {}  # entries that could not be moved alone, and when to try them again

    @asynccontextmanager
    async def in_hand(self, identity: str) -> AsyncIterator[list[Journal]]:
        """Have the own journal for one step, and, once the database's name is known, those that nobody has."""
        everything = self._due()
        taken = (
            await run_in_daemon_thread(lambda: self.others.take(identity, everything=everything)) if identity else []
        )
        given_up = False
        try:
            yield [*([] if self._journal.broken else [self._journal]), *taken]
        except asyncio.CancelledError:
            given_up = True  # a disk that hangs is not waited for: the locks end with the process
            raise
        finally:
            if taken and not given_up:
                await run_in_daemon_thread(partial(_close_all, taken))

    async def look_around(self) -> None:
        """Count what nobody has, now and then, while nothing may be taken."""
        if self._due():
            await run_in_daemon_thread(self.others.measure)

    def _due(self) -> bool:
        now = self._monotonic()
        if due := now - self._looked_around >= self._pace.idle:
            self._looked_around = now
        return due

    async def oldest(self, journals: Sequence[Journal]) -> list[Step]:
        """Return the oldest entries that may go.

        Where all of them wait for another process's, those behind them are looked at: the clock may have stepped back.
        """
        now = self._monotonic()
        passing_over = [request_id for request_id, again_at in self._set_aside.items() if again_at > now]
        held_back: set[str] = set()
        movable: list[Step] = []
        while steps := in_order([await self._steps(journal, passing_over, held_back) for journal in journals])[:MOST]:
            elsewhere = await self._oldest_elsewhere(steps, journals)
            if movable := before(steps, elsewhere):
                break
            held_back |= elsewhere.keys()
        self.held_back = bool(held_back)
        return movable

    def put_aside(self, waiting: Waiting, error: Exception) -> None:
        """Let the others pass: for a while if the database failed, until the next start if it is the entry itself."""
        passes = isinstance(error, StorageError) and error.kind != ErrorKind.PG_OTHER
        self._set_aside[waiting.request_id] = self._monotonic() + (self._pace.passed_over if passes else float("inf"))
        tell = self._log.warning if passes else self._log.critical
        event = "spool_entry_passed_over" if passes else "spool_entry_set_aside"
        tell(event, seq=waiting.seq, request_id=waiting.request_id, reason=str(error))

    async def _steps(self, journal: Journal, passing_over: Collection[str], held_back: Collection[str]) -> list[Step]:
        waiting = await run_in_daemon_thread(lambda: journal.oldest(MOST, passing_over, held_back))
        return [step for step in (self._read(journal, one) for one in waiting) if step]

    def _read(self, journal: Journal, waiting: Waiting) -> Step | None:
        try:
            return Step(journal, waiting, decode(waiting.version, waiting.outcome, waiting.text))
        except Unreadable as error:
            self.put_aside(waiting, error)
            return None

    async def _oldest_elsewhere(self, steps: Sequence[Step], journals: Sequence[Journal]) -> dict[str, Came]:
        """Return when the oldest entry came that waits in another journal, for those of these click ids that do."""
        click_ids = {step.follows for step in steps if step.follows is not None}
        have = {journal.path for journal in journals}
        return await run_in_daemon_thread(lambda: self._waiting.oldest(click_ids, have)) if click_ids else {}


def _close_all(journals: Sequence[Journal]) -> None:
    for journal in journals:
        journal.close()
