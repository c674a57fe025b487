"""Owns the bounds of one listener's connections, in number, bytes and time, and the watch that enforces them.

There is no timer for each request: the watch checks all connections twice a second.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

HEAD_BYTES = 16 * 1024  # of a request: its first line and all its headers
BODY_READ_BYTES = 64 * 1024  # of a body, at once
LINGER_SECONDS = 2.0  # that a refused client has for reading why
_CHECK_SECONDS = 0.5
_SORT_SHARE = 8  # connections are sorted once per (their number / this) newcomers: so many newcomers stay cheap
_LONGEST_TICK = 1.0  # while the process was stopped or busy, it could not read from any client


class Bounds(NamedTuple):
    """The bounds of a listener's connections.

    `connections`: how many may be open at once; `spare`: how many more are only told why they are refused;
    `body_bytes`: of a request as received, chunk headers included, even if its body is not read; `seconds`: for sending
    a whole request, for idling before the first, and for taking the buffered part of an answer; `keep_alive`: seconds
    that a connection may rest after an answer.
    """

    connections: int
    spare: int
    body_bytes: int
    seconds: float = 10.0
    keep_alive: float = 75.0


class WatchedConnection(Protocol):
    """One connection, as the watch sees it."""

    since: float

    @property
    def awaits_client(self) -> bool:
        """Whether we wait for its client to send or to take something."""

    def check_time(self) -> None:
        """Cut it if its time is over."""

    def cut(self, status: int) -> None:
        """Cut it; in the middle of a request, answer with this status first."""


class LingeringConnection(Protocol):
    """One that was refused, and may read why."""

    def abort(self) -> None:
        """Close it at once."""


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
        self._awaiting_clients: list[WatchedConnection] = []  # the longest at the end
        self._since_sorted = 0  # newcomers since they were sorted
        self._lingering: dict[LingeringConnection, None] = {}  # refused, and still there; the longest first

    def tick(self, moment: float, connections: Collection[WatchedConnection]) -> None:
        """Advance the clock, and check all connections when it is time."""
        self.now += min(moment - self._ticked_at, _LONGEST_TICK)
        self._ticked_at = moment
        if self.now < self._check_at:
            return
        self._check_at = self.now + _CHECK_SECONDS
        self._awaiting_clients = []
        self._since_sorted = len(connections)
        for connection in list(connections):
            connection.check_time()

    def makes_room(self, newcomer: WatchedConnection, connections: Collection[WatchedConnection]) -> bool:
        """Return whether a newcomer (already in `connections`) may stay; if they are too many, cut the longest waiting.

        So a client that sends its request at once finds a place, however many others stay connected and send nothing.
        """
        if len(connections) - len(self._lingering) <= self.bounds.connections:
            return True
        if not self._awaiting_clients and self._since_sorted >= len(connections) // _SORT_SHARE:
            self._since_sorted = 0
            awaits_client = [each for each in connections if each.awaits_client and each is not newcomer]
            self._awaiting_clients = sorted(awaits_client, key=lambda each: each.since, reverse=True)
        self._since_sorted += 1
        while self._awaiting_clients:
            connection = self._awaiting_clients.pop()
            if connection in connections and connection.awaits_client:
                connection.cut(503)
                return True
        return False

    def linger(self, refused: LingeringConnection) -> None:
        """Let a refused connection stay for a while. It takes no place; if they are too many, the first goes."""
        self._lingering[refused] = None
        if len(self._lingering) > self.bounds.spare:
            first = next(iter(self._lingering))
            del self._lingering[first]
            first.abort()

    def forget(self, connection: LingeringConnection) -> None:
        """Take it that a connection is gone."""
        self._lingering.pop(connection, None)
