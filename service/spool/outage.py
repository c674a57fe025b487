"""Owns what is known of the database's absence: since when, and why."""

import asyncio

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics

_REFUSED = (
    ErrorKind.MIGRATION,
    ErrorKind.PG_NOT_DURABLE,
    ErrorKind.PG_OTHER,
)  # waiting mends none of them, so a start must not hide them


class Outage:
    """Begins with the first commit that fails, ends with the first that works. All on the event loop.

    `wake` tells the drain that there is something to do; `entering` counts what is on its way into the spool.
    """

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self.on = False
        self.wake = asyncio.Event()
        self.entering = 0
        self._metrics = metrics
        self._log = log.logger

    def begin(self, error: StorageError) -> None:
        """Send newcomers to the spool at once, until a commit works."""
        self.wake.set()
        if not self.on:
            self.on = self._metrics.spool.active = True
            self._log.error("database_away", reason=str(error), error=error.kind)

    def begin_with(self, error: StorageError) -> bool:
        """Start with an outage if that is what kept the database from being used; say whether it is."""
        if isinstance(error, StorageBroken) or error.kind in _REFUSED:
            return False
        self.begin(error)
        return True

    def end(self) -> None:
        """Send newcomers to the database again."""
        if self.on:
            self.on = self._metrics.spool.active = False
            self._log.warning("database_back", waiting=self._metrics.spool.entries)
