"""Owns which keys wait in the spool: a newcomer of such a key must follow into it, or it would overtake what waits.

Which of two values came first decides what is stored (law 3), and a status follows another. All on the event loop.
"""

from collections import Counter
from collections.abc import Iterable

from service.postback import Key, Postback
from service.storage.ledger import Entry

MOST_KEYS = 100_000  # remembered: about 10 MB; beyond them every newcomer follows


class Following:
    """Remembers the hashes of the keys that wait or are on their way in. Whoever looks finds out which have left."""

    def __init__(self) -> None:
        self._keys: set[int] = set()
        self._entering: Counter[int] = Counter()
        self._since: set[int] = set()  # what began to enter since the last look, or was entering then
        self._everybody = False

    @property
    def anybody_entering(self) -> bool:
        """Say whether something is on its way into the spool now."""
        return bool(self._entering)

    def must(self, entries: Iterable[Entry]) -> bool:
        """Say whether one of the entries must not overtake what waits."""
        if not self._keys:
            return self._everybody
        return self._everybody or not self._keys.isdisjoint(_hashes(entries))

    def enter(self, entries: Iterable[Entry]) -> None:
        """Note what is on its way in; `entered` must follow, whatever came of it."""
        hashes = [*_hashes(entries)]
        self._entering.update(hashes)
        self._since.update(hashes)
        self._keys.update(hashes)
        if len(self._keys) > MOST_KEYS:
            self.everybody()

    def entered(self, entries: Iterable[Entry]) -> None:
        """Note that it is in, or not coming."""
        self._entering -= Counter(_hashes(entries))

    def everybody(self) -> None:
        """Have every newcomer follow until a look has seen the whole backlog: nobody knows all of its keys."""
        self._everybody = True
        self._keys.clear()

    def look(self) -> None:
        """Note that somebody begins to look at what waits."""
        self._since = set(self._entering)

    def seen(self, keys: Iterable[Key]) -> None:
        """Note that the look saw all that waits, which has these keys; what came in since may wait as well."""
        self._keys = {*map(hash, keys), *self._since}
        self._everybody = False


def _hashes(entries: Iterable[Entry]) -> Iterable[int]:
    return (hash(entry.key) for entry in entries if isinstance(entry, Postback))
