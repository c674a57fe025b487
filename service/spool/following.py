"""Owns whether a newcomer must follow what waits: asked of the journals for all newcomers of a moment at once.

Which of two values came first decides what is stored (law 3), and a status follows another. While no flag says that
anything waits, nobody asks and nobody is held up.
"""

import asyncio
from collections.abc import Sequence

from service.core.postback import Postback
from service.core.verdict import Entry
from service.spool.waiting import WaitingClickIds
from service.storage.daemon_thread import run_in_daemon_thread

SECONDS = 0.3  # for the answer; whoever gets none follows, for nobody may be overtaken. With both commits less than 2 s


class Following:
    """The newcomers' question. All on the event loop, which waits for no disk."""

    def __init__(self, waiting: WaitingClickIds, seconds: float = SECONDS) -> None:
        self._waiting = waiting
        self._seconds = seconds
        self._asked: set[str] = set()  # for the next look
        self._looking: asyncio.Task[frozenset[str]] | None = None
        self._next: asyncio.Task[frozenset[str]] | None = None

    def anything(self) -> bool:
        """Say whether anything waits: if not, nobody follows."""
        return self._waiting.anything()

    async def must(self, entries: Sequence[Entry]) -> bool:
        """Say whether one of the entries must not overtake what waits."""
        click_ids = {entry.click_id for entry in entries if isinstance(entry, Postback)}
        if not click_ids:
            return False
        self._asked |= click_ids
        if self._next is None:
            self._next = asyncio.create_task(self._look(after=self._looking))
        looking = self._next
        done, _ = await asyncio.wait([looking], timeout=self._seconds)  # asyncio.timeout needs a task to cancel
        return not done or not click_ids.isdisjoint(looking.result())

    async def _look(self, after: "asyncio.Task[frozenset[str]] | None") -> frozenset[str]:
        """Look once, for whoever asked until the look before was done."""
        if after:
            await asyncio.wait([after])
        self._looking, self._next = self._next, None
        asked, self._asked = self._asked, set()
        return await run_in_daemon_thread(lambda: self._waiting.among(asked))
