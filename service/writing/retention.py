"""Owns how long things are kept and how much of them: what is too old or too much goes, a chunk at a time.

On a thread of its own, because it reads and waits; what it says goes through the event loop. The size of what is kept
is the database's own figure, of each sender and of all strangers. Who has most makes room: nobody's flood takes
another's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import NamedTuple

from service.core.chunk import ChunkSize
from service.core.program import PROGRAM
from service.core.unavailable import StorageError
from service.storage.admission import SENDERS_SLACK, STRANGERS, Bounds
from service.storage.deletions.book import Reason
from service.storage.deletions.clock import FAR
from service.storage.deletions.deleting import Deletions, Removed
from service.storage.deletions.finding import CHUNK, FLOOD_CHUNK, PAGE_ROWS, Aged, Found
from service.storage.schema.registry import CONVERSION, StoredTable, table_of
from service.storage.schema.tables import Duplicate, RejectedPostback
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics

_MADE_ROOM = 0.9  # of what may be kept is left, so that not every look deletes and measures everything
_FLOODED = 0.2  # of what may be kept is there beside it, or the bytes below: then the disk comes first
_FLOODED_BYTES = SENDERS_SLACK // 4  # large chunks before the ledger keeps nothing more; each rests as long as it took
_STOP_SECONDS = 1.0
_SUSPECT = (
    f"nothing is deleted: the clock is more than {FAR.days} days ahead of when it was last believed; "
    f"mend it, or run `{PROGRAM} doctor --accept-clock` if it is right"
)
_AGED: tuple[Aged, ...] = (RejectedPostback, Duplicate)  # row by row; conversions are walked through


class Limits(NamedTuple):
    """Days that rows are kept (0: for ever), named as the schema's registry says, and bytes for rejected postbacks."""

    rejected_days: int
    duplicate_days: int
    conversion_days: int
    rejected: Bounds


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it looks, how much it does at once, and how long it leaves the writer to the postbacks then."""

    look_seconds: float = 1.0
    age_seconds: float = 6 * 3600.0  # between two looks for what is too old
    chunk: ChunkSize = CHUNK
    flood_chunk: ChunkSize = FLOOD_CHUNK
    page_rows: int = PAGE_ROWS  # conversions read at a time
    pause_seconds: float = 0.5  # between two chunks: what waits for one is less than a hundredth of the postbacks
    rest: float = 9.0  # times as long as a chunk took: nine tenths of the writer's time are the postbacks'


class Clock(NamedTuple):
    """`now` tells ages, `seconds` how long something took; `wait` waits so many seconds, or until an event is set."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    wait: Callable[[Event, float], bool] = Event.wait


_PACE = Pace()
_CLOCK = Clock()


class Looked(NamedTuple):
    """How many rows one look deleted, by table and reason, and the error that ended it.

    `suspect` says that nothing may be deleted, because the clock is far ahead of when it was last believed.
    """

    deleted: Counter[tuple[str, Reason]]
    failure: Exception | None
    suspect: bool = False


class Retention:
    """Deletes what is over the limits, at a pace and by a clock, while its context is open."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        deletions: Callable[[], Deletions],
        limits: Limits,
        metrics: Metrics,
        log: Log,
        *,
        pace: Pace = _PACE,
        clock: Clock = _CLOCK,
    ) -> None:
        self._open = deletions
        self._limits = limits
        self._metrics = metrics
        self._log = log
        self._pace = pace
        self._clock = clock
        self._stopping = Event()
        self._aged_at = float("-inf")
        self._shares: Mapping[str, int] = {}
        self._deleted: Counter[tuple[str, Reason]] = Counter()
        self._failing = self._suspect = False
        self._looked_at = clock.now()
        metrics.rejected_capacity_bytes = sum(limits.rejected)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look every few seconds while the context is open; at the end a chunk that is under way may finish."""
        thread = Thread(target=self._watch, args=[asyncio.get_running_loop()], name="retention", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            await asyncio.to_thread(thread.join, _STOP_SECONDS)  # on a disk that hangs nobody waits for it

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._clock.wait(self._stopping, self._pace.look_seconds):
            looked = self.look()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.tell, looked)

    def look(self) -> Looked:
        """Delete what is over the limits now, and return what went, also before an error. Blocks."""
        failure = None
        try:
            self._look(self._open())
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
            failure = error
        deleted, self._deleted = self._deleted, Counter()
        return Looked(deleted, failure, self._metrics.retention_clock_suspect)

    def _look(self, deletions: Deletions) -> None:
        self._looked_at = self._clock.now()  # all ages count from here, so that a clock that jumps now does no harm
        trusted = deletions.clock.trusts(self._looked_at)
        self._metrics.retention_clock_suspect = not trusted
        if trusted and self._clock.seconds() - self._aged_at >= self._pace.age_seconds:
            self._delete_old(deletions)
            self._aged_at = self._clock.seconds()
        self._measure(deletions)
        if trusted and any(over > 0 for over in self._over()):
            self._make_room(deletions)

    def tell(self, looked: Looked) -> None:
        """Log what a look did; on the event loop."""
        deleted, failure, suspect = looked
        if suspect and not self._suspect:
            self._log.logger.warning("retention_clock_suspect", detail=_SUSPECT)
        self._suspect = suspect
        for (table, reason), rows in deleted.items():
            say = self._log.logger.info if reason is Reason.AGE else self._log.logger.warning
            say("deleted", table=table, reason=reason.value, rows=rows)
        if failure and not self._failing:
            detail = str(failure) if isinstance(failure, StorageError) else f"{type(failure).__name__}: {failure}"
            self._log.logger.warning("retention_failed", detail=detail)
        self._failing = failure is not None

    def _delete_old(self, deletions: Deletions) -> None:
        with deletions.alone() as still_alone:
            if still_alone is None:
                return
            for table in _AGED:
                if days := self._days(table_of(table)):
                    self._delete_old_rows(deletions, table, days, still_alone)
            deletions.forget_unused(self._looked_at)
            if self._days(CONVERSION):
                self._delete_old_conversions(deletions, still_alone)

    def _delete_old_rows(self, deletions: Deletions, table: Aged, days: int, still_alone: Callable[[], None]) -> None:
        before, last = self._since(days), None
        while (found := deletions.old(table, before, self._pace.chunk, after=last)).ids and self._may_go_on(
            still_alone
        ):
            self._remove(deletions, table, found, Reason.AGE)
            last = found.position

    def _delete_old_conversions(self, deletions: Deletions, still_alone: Callable[[], None]) -> None:
        """Walk through all of them by key: an index on their age would cost every conversion."""
        before, last = self._since(self._days(CONVERSION)), None
        while (page := deletions.conversions(last, self._pace.page_rows)) and self._may_go_on(still_alone):
            last = page[-1][0]
            old = [key for key, received_at in page if received_at < before]
            for first in range(0, len(old), self._pace.chunk.rows):
                chunk = old[first : first + self._pace.chunk.rows]
                started = self._clock.seconds()
                removed = deletions.remove_conversions(chunk[0], chunk[-1], before, self._clock.now())
                self._count(CONVERSION.name, Reason.AGE, removed)
                self._rest(self._clock.seconds() - started)
            self._rest(0.0)

    def _make_room(self, deletions: Deletions) -> None:
        """Delete where there is too much, of whoever has most, until a tenth of that room is free."""
        with deletions.alone() as still_alone:
            if still_alone is None:
                return
            deletions.forget_unused(self._looked_at)
            self._measure(deletions)  # another replica may have been faster
            full = [over > 0 for over in self._over()]
            found: dict[tuple[str, bool], Found] = {}
            without: set[str] = set()  # whose rows had gone, whatever the figure said
            while self._may_go_on(still_alone):
                surplus, share = self._next(full, without)
                if surplus <= 0 or share is None:
                    return
                if not self._delete_oldest(deletions, share, surplus, found):
                    deletions.settle(share)
                    without.add(share)
                self._measure(deletions)  # a flood goes on meanwhile

    def _next(self, full: Sequence[bool], without: Collection[str]) -> tuple[int, str | None]:
        """Return how many bytes must still go where it was full, and whose."""
        strangers, senders = (
            is_full and over + bound - int(bound * _MADE_ROOM)
            for is_full, over, bound in zip(full, self._over(), self._limits.rejected, strict=True)
        )
        if strangers > 0 and STRANGERS not in without:
            return strangers, STRANGERS
        left = self._shares.keys() - without - {STRANGERS}
        return senders, max(left, key=lambda share: self._shares[share], default=None)

    def _delete_oldest(
        self, deletions: Deletions, share: str, surplus: int, found: dict[tuple[str, bool], Found]
    ) -> bool:
        """Delete a chunk of a share, what was replayed first; say whether there was anything.

        What was on its way for longer may be older than what has gone already: where nothing follows, it begins anew.
        """
        chunk = self._pace.flood_chunk if self._flooded() else self._pace.chunk
        for known in (found, {}):
            for replayed in (True, False):
                before = known.get((share, replayed))
                after = before.position if before else None
                some = found[share, replayed] = deletions.surplus(share, after, surplus, chunk, replayed=replayed)
                if some.ids:
                    reason = Reason.SIZE if replayed or share == STRANGERS else Reason.SIZE_KNOWN
                    self._remove(deletions, RejectedPostback, some, reason)
                    return True
        return False

    def _over(self) -> tuple[int, int]:
        """Return by how many bytes strangers and known senders have more than their room; less than 0: what is left."""
        strangers = self._shares.get(STRANGERS, 0)
        senders = sum(self._shares.values()) - strangers
        return strangers - self._limits.rejected.strangers, senders - self._limits.rejected.senders

    def _flooded(self) -> bool:
        return any(
            over > min(_FLOODED * bound, _FLOODED_BYTES)
            for over, bound in zip(self._over(), self._limits.rejected, strict=True)
        )

    def _remove(self, deletions: Deletions, table: Aged, found: Found, reason: Reason) -> Removed:
        started = self._clock.seconds()
        removed = deletions.remove(table, found.ids, reason, self._clock.now())
        self._count(str(table.__tablename__), reason, removed)
        self._rest(self._clock.seconds() - started)
        return removed

    def _count(self, table: str, reason: Reason, removed: Removed) -> None:
        self._deleted[table, reason] += removed.rows
        self._metrics.count_deleted(table, reason.value, removed.rows)

    def _measure(self, deletions: Deletions) -> None:
        self._shares = deletions.shares()
        self._metrics.rejected_bytes = sum(self._shares.values())

    def _days(self, table: StoredTable) -> int:
        days: int = getattr(self._limits, table.days)
        return days

    def _since(self, days: int) -> datetime:
        return self._looked_at - timedelta(days=days)

    def _may_go_on(self, still_alone: Callable[[], None]) -> bool:
        still_alone()
        return not self._stopping.is_set()

    def _rest(self, took: float) -> None:
        self._clock.wait(
            self._stopping, took if self._flooded() else max(self._pace.pause_seconds, self._pace.rest * took)
        )
