"""Owns the room for the bodies of batches: how many bytes of them may be here at once, and whose they are.

Room and not places: whoever sends slowly would hold a place, and bytes have to be sent.
"""

from collections import Counter
from collections.abc import Callable

from service.core.batch import MAX_BYTES
from service.core.unavailable import Overloaded

_KNOWN_BYTES = 4 * MAX_BYTES
_UNPROVEN_BYTES = 2 * MAX_BYTES


class KnownRoom:
    """The room of known senders, until their batches are done: a sender has at most half of it."""

    def __init__(self, size: int = _KNOWN_BYTES) -> None:
        self.size = self._left = size
        self._share = size // 2
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many bytes are taken."""
        return self.size - self._left

    def take(self, sender: str, size: int) -> None:
        """Take room for so many bytes. Raises Overloaded."""
        if size > self._left:
            raise Overloaded("too many batches wait")
        if self._taken[sender] + size > self._share:
            raise Overloaded(f"too many batches of {sender} wait")
        self._left -= size
        self._taken[sender] += size

    def give_back(self, sender: str, size: int) -> None:
        """Give room back."""
        self._left += size
        self._taken[sender] -= size
        if not self._taken[sender]:
            del self._taken[sender]


class UnprovenRoom:
    """The room for bodies that are read to see who signed them. Anybody may send one.

    When there is no room, a body of the client address that has most of it goes: the one that has been on its way
    longest, so whoever sends at once finds room. It may be the one that room is taken for.
    """

    def __init__(self, size: int = _UNPROVEN_BYTES) -> None:
        self.size = self._left = size
        self._taken: dict[str, dict[Callable[[], None], int]] = {}  # by address, the longest first

    @property
    def taken(self) -> int:
        """How many bytes are taken."""
        return self.size - self._left

    def take(self, address: str, turn_away: Callable[[], None], size: int) -> None:
        """Take room for so many bytes more of one body; `turn_away` is called when it must go."""
        bodies = self._taken.setdefault(address, {})
        bodies[turn_away] = bodies.get(turn_away, 0) + size
        self._left -= size
        while self._left < 0:
            largest = max(self._taken, key=lambda one: sum(self._taken[one].values()))
            longest = next(iter(self._taken[largest]))
            self.leave(largest, longest)
            longest()

    def leave(self, address: str, turn_away: Callable[[], None]) -> None:
        """Give the room of a body back."""
        bodies = self._taken.get(address, {})
        self._left += bodies.pop(turn_away, 0)
        if not bodies:
            self._taken.pop(address, None)
