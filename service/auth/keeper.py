"""Owns the roster of the running service: read every few seconds, followed as a whole, kept when the database is away.

On a thread of its own, because it reads and waits; what it finds is followed on the event loop. When keys were last
used is gathered in memory and written about once a minute: no request writes anything.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Thread

from service.auth.roster_copy import RosterCopy
from service.core.roster import Roster
from service.core.unavailable import ErrorKind, StorageError
from service.storage.senders import Rows, Senders
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics

LOOK_SECONDS = 3.0  # what was revoked is refused everywhere within ten: a look, and what it may wait for
_USED_SECONDS = 60.0
_STOP_SECONDS = 1.0

Follow = Callable[[Roster | None], None]


class RosterKeeper:
    """Reads the roster and tells `follow`, on the event loop. A `copy` lets a start do without the database."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        senders: Callable[[], Senders],
        follow: Follow,
        metrics: Metrics,
        log: Log,
        *,
        copy: RosterCopy | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._open = senders
        self._follow = follow
        self._metrics = metrics
        self._log = log.logger
        self._copy = copy
        self._look_seconds = look_seconds
        self._roster: Roster | None = None
        self._used: dict[str, datetime] = {}
        self._used_at = time.monotonic()
        self._failing = False
        self._begun = False
        self._stopping = Event()

    def begin(self) -> None:
        """Follow what the database says; if it is away, what the copy says; if there is none, nothing is known.

        Blocks, and does nothing the second time.
        """
        if self._begun:
            return
        self._begun = True
        roster, failure = self._look()
        if roster is None and self._copy:
            roster = self._copy.read()
        self._tell(roster, failure)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look every few seconds while the context is open, and write at the end what was used last."""
        thread = Thread(target=self._watch, args=[asyncio.get_running_loop()], name="roster", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            await asyncio.to_thread(thread.join, _STOP_SECONDS)  # on a disk that hangs nobody waits for it

    async def look_now(self) -> None:
        """Read the roster without waiting for the next look, and follow it."""
        self._tell(*await asyncio.to_thread(self._look))

    def note_used(self, key: str, at: datetime) -> None:
        """Remember that a key let somebody in."""
        self._used[key] = at

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopping.wait(self._look_seconds):
            looked = self._look()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._tell, *looked)
            if time.monotonic() - self._used_at >= _USED_SECONDS:
                self.write_used()
        self.write_used()

    def _look(self) -> "tuple[Roster | None, Exception | None]":
        try:
            rows = self._open().rows()
        except StorageError as error:
            if error.kind != ErrorKind.NO_DATABASE:
                return None, error
            rows = Rows()  # a file that is made by the first start
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
            return None, error
        try:
            if self._copy:
                self._copy.keep(rows)
        except OSError as error:
            return rows.roster(), error
        return rows.roster(), None

    def _tell(self, roster: Roster | None, failure: Exception | None) -> None:
        """Follow what was read; without that, what was read last."""
        if failure and not self._failing:
            detail = str(failure) if isinstance(failure, StorageError) else f"{type(failure).__name__}: {failure}"
            if roster is None:
                self._log.warning("roster_not_read", detail=f"{detail}; the last one stays valid")
            else:
                self._log.warning("roster_not_copied", detail=f"{detail}; a restart in an outage would know no key")
        self._failing = failure is not None
        if roster is not None:
            if roster != self._roster:
                reported = (one.report_only for one in roster.senders.values())
                self._metrics.report_only = frozenset().union(*reported)
                self._metrics.senders = frozenset(name for name, one in roster.senders.items() if not one.disabled)
            self._roster = roster
        if self._roster:
            expiry = self._roster.first_expiry(datetime.now(UTC))
            self._metrics.key_expires_at = expiry.timestamp() if expiry else 0.0
        self._follow(self._roster)

    def write_used(self) -> None:
        """Write when keys were last used; what cannot be written now is written the next time."""
        used, self._used = self._used, {}
        self._used_at = time.monotonic()
        if not used:
            return
        try:
            self._open().note_used(dict(used))
        except Exception:  # noqa: BLE001 - it is no receipt: the next minute tries again
            self._used = {**used, **self._used}
