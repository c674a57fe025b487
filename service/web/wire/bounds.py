"""Owns the bounds of one listener's connections, in number, bytes and time, and the watch that enforces them.

There is no timer for each request: the watch checks all connections twice a second.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

HEAD_BYTES = 16 * 1024  # of a request: its first line and all its headers
BODY_READ_BYTES = 64 * 1024  # of a body, at once
LINGER_SECONDS = 2.0  # that a refused client has for reading why
_CHECK_SECONDS = 0.5
_SORT_SHARE = 64  # connections are sorted once per (their number / this) newcomers: so many newcomers stay cheap
_LONGEST_TICK = 1.0  # while the process was stopped or busy, it could not read from any client


class Bounds(NamedTuple):
    """The bounds of a listener's connections.

    `connections`: how many may be open at once, half of them of strangers if known clients need the other half;
    `spare`: how many more are only told why they are refused;
    `body_bytes`: of a request as received, chunk headers included, even if its body is not read; `seconds`: for sending
    a whole request, for idling before the first, and for taking the buffered part of an answer; `keep_alive`: seconds
    that a connection may rest after an answer.
    """

    connections: int
    spare: int
    body_bytes: int
    seconds: float = 10.0
    keep_alive: float = 75.0


class LingeringConnection(Protocol):
    """One that ends, and whose client may read why."""

    def abort(self) -> None:
        """Close it at once."""


class WatchedConnection(LingeringConnection, Protocol):
    """One connection, as the watch sees it."""

    since: float

    @property
    def awaits_client(self) -> bool:
        """Whether we wait for its client."""

    def check_time(self) -> None:
        """Cut it if its time is over."""

    def give_way(self) -> None:
        """Linger, so that a newcomer has the place: cut if we wait for its client, else after its present answer."""


class ConnectionWatch:
    """Watches the connections of one listener; `now` is its clock, which stands still while the process is stopped.

    `count_unparsed` is called with the status of each answer to an incomplete or invalid request.
    """

    def __init__(self, bounds: Bounds, count_unparsed: Callable[[int], None]) -> None:
        self.bounds = bounds
        self.count_unparsed = count_unparsed
        self.now = 0.0
        self._ticked_at = 0.0
        self._check_at = 0.0
        self._known: set[LingeringConnection] = set()  # whose clients showed a good credential
        self._first_to_go: dict[bool, list[WatchedConnection]] = {
            True: [],
            False: [],
        }  # of known clients or not; the longest there at the end
        self._since_sorted = 0  # newcomers since they were sorted
        self._lingering: dict[LingeringConnection, None] = {}  # at their end, and still there; the longest first

    def tick(self, moment: float, connections: Collection[WatchedConnection]) -> None:
        """Advance the clock, and check all connections when it is time."""
        self.now += min(moment - self._ticked_at, _LONGEST_TICK)
        self._ticked_at = moment
        if self.now < self._check_at:
            return
        self._check_at = self.now + _CHECK_SECONDS
        self._first_to_go = {True: [], False: []}
        self._since_sorted = len(connections)
        for connection in list(connections):
            connection.check_time()

    def know(self, connection: WatchedConnection) -> None:
        """Take it that the client of a connection has shown a good credential."""
        if connection not in self._lingering:  # it has no place any more
            self._known.add(connection)

    def knows(self, connection: WatchedConnection) -> bool:
        """Return whether the client of a connection has shown a good credential."""
        return connection in self._known

    def taken(self, connections: Collection[WatchedConnection]) -> int:
        """Return how many places are taken: who only lingers has none."""
        return len(connections) - len(self._lingering)

    @property
    def known(self) -> int:
        """How many places known clients have."""
        return len(self._known)

    def makes_room(self, connections: Collection[WatchedConnection]) -> bool:
        """Return whether there is a place for a newcomer; if there is none, the one that is busy longest gives way.

        So a client that sends its request at once finds a place, however many others stay connected, whatever they do.
        Half of the places are a reserve for known clients: one of them gives way only if they have more than that, and
        only if we wait for it. A stranger gives way in the middle of an answer too.
        """
        if self.taken(connections) < self.bounds.connections:
            return True
        self._since_sorted += 1
        beyond_reserve = len(self._known) > self.bounds.connections // 2
        return (beyond_reserve and self._longest_gives_way(connections, known=True)) or self._longest_gives_way(
            connections, known=False
        )

    def _longest_gives_way(self, connections: Collection[WatchedConnection], *, known: bool) -> bool:
        """Let the longest of known clients or of strangers give way; return whether there is one that can."""
        if self._next_gives_way(connections, known=known):
            return True
        if self._since_sorted <= len(connections) // _SORT_SHARE:
            return False
        self._sort(connections)
        return self._next_gives_way(connections, known=known)

    def _next_gives_way(self, connections: Collection[WatchedConnection], *, known: bool) -> bool:
        """Let the next of those that were sorted give way; what has become of them since counts."""
        while self._first_to_go[known]:
            connection = self._first_to_go[known].pop()
            if connection in connections and (connection in self._known) is known and self._may_go(connection):
                connection.give_way()
                return True
        return False

    def _sort(self, connections: Collection[WatchedConnection]) -> None:
        self._since_sorted = 0
        self._first_to_go = {True: [], False: []}
        for each in sorted(connections, key=lambda each: each.since, reverse=True):
            if self._may_go(each):
                self._first_to_go[each in self._known].append(each)

    def _may_go(self, connection: WatchedConnection) -> bool:
        return connection not in self._lingering and (connection.awaits_client or connection not in self._known)

    def linger(self, refused: LingeringConnection) -> None:
        """Let a connection that ends stay for a while. It takes no place; if they are too many, the first goes."""
        self._lingering[refused] = None
        self._known.discard(refused)
        if len(self._lingering) > self.bounds.spare:
            first = next(iter(self._lingering))
            del self._lingering[first]
            first.abort()

    def forget(self, connection: LingeringConnection) -> None:
        """Take it that a connection is gone."""
        self._lingering.pop(connection, None)
        self._known.discard(connection)
