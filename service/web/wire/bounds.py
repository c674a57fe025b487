"""Owns what the connections of one listener may take of us, in number, bytes and time, and which of them goes first.

Nothing is timed request by request: a watch looks at all connections twice a second.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

HEAD_BYTES = 16 * 1024  # of a request: its first line and all its headers
LINGER_SECONDS = 2.0  # that a refused client has for reading why
_LOOK_SECONDS = 0.5
_OFTEN = 8  # at most once for so many newcomers, as a part of all, are all put in order: a flood of them is cheap
_LONGEST_TICK = 1.0  # while we were stopped or busy, no client could be heard


class Bounds(NamedTuple):
    """What connections may take.

    `connections` that are open at once, and `spare` ones beside them that are only told why they are refused;
    `body_bytes` of a request as it comes, chunks and all, be they wanted or not; `seconds` for sending a whole request,
    for resting before the first, and for taking what our buffer holds of an answer.
    """

    connections: int
    spare: int
    body_bytes: int
    seconds: float = 10.0


class Watched(Protocol):
    """One connection, as the watch sees it."""

    since: float

    @property
    def waited_for(self) -> bool:
        """Whether its client has the turn: to send something."""

    def look(self) -> None:
        """Cut it, if its time is over."""

    def cut(self, status: int) -> None:
        """Cut it, with this status if it is in the midst of a request."""


class Watch:
    """Looks after the connections of one listener; `now` is its clock, which rests when the process does.

    `count_unparsed` is told the status of each answer to what is no request, or none yet.
    """

    def __init__(self, bounds: Bounds, count_unparsed: Callable[[int], None]) -> None:
        self.bounds = bounds
        self.count_unparsed = count_unparsed
        self.now = 0.0
        self._ticked_at = 0.0
        self._look_at = 0.0
        self._waited_for: list[Watched] = []  # the longest at the end
        self._left_out = 0  # newcomers since they were put in order

    def tick(self, moment: float, connections: Collection[Watched]) -> None:
        """Let time pass: cut whoever is overdue."""
        self.now += min(moment - self._ticked_at, _LONGEST_TICK)
        self._ticked_at = moment
        if self.now < self._look_at:
            return
        self._look_at = self.now + _LOOK_SECONDS
        self._waited_for = []
        self._left_out = len(connections)
        for connection in list(connections):
            connection.look()

    def makes_room(self, newcomer: Watched, connections: Collection[Watched]) -> bool:
        """Tell whether a newcomer, who is one of them already, may stay: if need be, who keeps us waiting longest goes.

        So whoever sends his request at once finds a place, however many others hold theirs and send nothing.
        """
        if len(connections) <= self.bounds.connections:
            return True
        if not self._waited_for and self._left_out >= len(connections) // _OFTEN:
            self._left_out = 0
            waited_for = [each for each in connections if each.waited_for and each is not newcomer]
            self._waited_for = sorted(waited_for, key=lambda each: each.since, reverse=True)
        self._left_out += 1
        while self._waited_for:
            connection = self._waited_for.pop()
            if connection in connections and connection.waited_for:
                connection.cut(503)
                return True
        return False
