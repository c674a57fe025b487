"""Owns a connection within its bounds of number and time: what the watch sees of it and does to it, and its end."""

import asyncio
from typing import cast

from service.web.wire.bounds import LINGER_SECONDS, WatchedConnection
from service.web.wire.connection import HttpConnection
from service.web.wire.known_clients import KNOWN_CLIENT

_LEAVING_SECONDS = 5.0  # that a connection may rest while the server leaves


class BoundedConnection(HttpConnection):
    """A connection that speaks HTTP/1.1, under a watch."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or refuse it."""
        super().connection_made(transport)
        self._scope[KNOWN_CLIENT] = self._become_known
        has_place = self._watch.makes_room(self._connections)
        self._connections.add(self)
        if not has_place:
            self.refuse(503)

    def connection_lost(self, error: Exception | None) -> None:
        """Give its place back."""
        self._scope = {}  # which refers to this connection
        self._connections.discard(self)
        self._watch.forget(self)
        super().connection_lost(error)

    def _become_known(self) -> None:
        if not self._refused and not self.transport.is_closing():
            self._watch.know(self)
            self._scope.pop(KNOWN_CLIENT, None)  # once is enough

    def pause_writing(self) -> None:
        """Restart the clock: from now on the client has to take something."""
        self.since = self._watch.now
        super().pause_writing()

    @property
    def awaits_client(self) -> bool:
        """Whether we wait for its client to send or to take something, or for the next turn of a stranger."""
        cycle = self._cycle
        if self._refused:
            return False
        if self.writable or self.transport.is_closing():
            return True
        if self._scheduled:  # who sends ahead waits for nobody, and must not keep its place by that
            return not self._watch.knows(self)
        if not cycle or cycle.answered or cycle.disconnected:
            return True
        return self._body is not None and not self.paused

    def check_time(self) -> None:
        """Cut it if its time is over."""
        waited = self._watch.now - self.since
        if self._refused or self.writable or self.transport.is_closing():
            if waited >= (LINGER_SECONDS if self._refused else self._watch.bounds.seconds):
                self.abort()
        elif self.paused:  # the client waits for us, not we for it
            self.since = self._watch.now
        elif waited >= self._patience and self.awaits_client:
            self.cut(408)

    @property
    def _patience(self) -> float:
        """How many seconds we wait for the client: between requests, or within one."""
        if self._cycle or self._unparsed or not self._served:
            return self._watch.bounds.seconds
        keep_alive = self._watch.bounds.keep_alive
        return min(keep_alive, _LEAVING_SECONDS) if self._leaving() else keep_alive

    def give_way(self) -> None:
        """Linger, so that a newcomer has the place: cut if we wait for its client, else after its present answer.

        What it sent is stored then, so it cannot be told 503. If too many linger, it is closed and not told at all.
        """
        if self.awaits_client:
            self.cut(503)
        else:
            self.leave()
            self._watch.linger(self)

    def leave(self) -> None:
        """Make the present answer, if any, the last one of this connection."""
        if self._cycle:
            self._cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close it, or make the present answer its last one: uvicorn calls this at the end."""
        if self._cycle is None or self._refused or self._cycle.answered:
            self.transport.close()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self.transport.abort)  # TLS waits for a goodbye
        else:
            self.leave()

    @property
    def _connections(self) -> set[WatchedConnection]:
        return cast("set[WatchedConnection]", self._state.connections)
