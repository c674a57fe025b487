"""Owns which click ids wait in the spool: a newcomer of one must follow into it, or it would overtake what waits.

Which of two values came first decides what is stored (law 3), and a status follows another. All on the event loop.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from service.core.postback import Postback
from service.core.verdict import Entry

MOST_REMEMBERED = 100_000  # click ids: about 10 MB; beyond them every newcomer follows


class Following:
    """Remembers hashes of click ids that wait or are on their way in. Whoever looks finds out which have left."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._entering: Counter[int] = Counter()
        self._since: set[int] = set()  # what began to enter since the last look, or was entering then
        self._everybody = False

    @property
    def anybody_entering(self) -> bool:
        """Say whether something is on its way into the spool now."""
        return bool(self._entering)

    def must(self, entries: Iterable[Entry]) -> bool:
        """Say whether one of the entries must not overtake what waits."""
        if not self._waiting:
            return self._everybody
        return self._everybody or not self._waiting.isdisjoint(_hashes(entries))

    def enter(self, entries: Iterable[Entry]) -> None:
        """Note what is on its way in; `entered` must follow, whatever came of it."""
        hashes = [*_hashes(entries)]
        self._entering.update(hashes)
        self._since.update(hashes)
        self._waiting.update(hashes)
        if len(self._waiting) > MOST_REMEMBERED:
            self.everybody()

    def entered(self, entries: Iterable[Entry]) -> None:
        """Note that it is in, or not coming."""
        self._entering -= Counter(_hashes(entries))

    def found(self, click_ids: Collection[str]) -> None:
        """Note what was found waiting; more than are remembered may be some of them only."""
        self._waiting.update(map(hash, click_ids))
        if len(self._waiting) > MOST_REMEMBERED:
            self.everybody()

    def everybody(self) -> None:
        """Have every newcomer follow until a look has seen the whole backlog."""
        self._everybody = True
        self._waiting.clear()

    def look(self) -> None:
        """Note that somebody begins to look at what waits."""
        self._since = set(self._entering)

    def seen(self, click_ids: Iterable[str]) -> None:
        """Note that the look saw all that waits, which are these; what came in since may wait as well."""
        self._waiting = {*map(hash, click_ids), *self._since}
        self._everybody = False


def _hashes(entries: Iterable[Entry]) -> Iterable[int]:
    return (hash(entry.click_id) for entry in entries if isinstance(entry, Postback))
