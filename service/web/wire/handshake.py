"""Owns a connection while its client and we agree on TLS: it is under the watch from its first moment."""

import asyncio
import ssl
from typing import cast

from uvicorn.server import ServerState

from service.web.wire.bounded_connection import BoundedConnection
from service.web.wire.bounds import ConnectionWatch, WatchedConnection
from service.web.wire.driving import Running, drive_by_hand
from service.web.wire.flow import BUFFER


class Handshake(asyncio.BufferedProtocol):
    """A connection in its TLS handshake; `http` takes over when it has succeeded, and has its place.

    We wait for the client. So it is cut for a newcomer, and when its time is over. For whom there is no place, it goes
    on among those that linger: `http` then says 503, or has a place that became free meanwhile.
    """

    def __init__(
        self, http: BoundedConnection, context: ssl.SSLContext, watch: ConnectionWatch, state: ServerState
    ) -> None:
        self._http = http
        self._context = context
        self._watch = watch
        self._connections = cast("set[WatchedConnection]", state.connections)
        self._running = cast("Running", state.tasks)
        self._early = b""
        self.since = watch.now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, and begin at once: a task would begin later, and the client's first bytes would be lost."""
        self._transport = cast("asyncio.Transport", transport)
        self.awaits_client = self._watch.makes_room(self._connections)
        self._connections.add(self)
        if not self.awaits_client:
            self._watch.linger(self)
        drive_by_hand(self._agree(), self._running, self._ended)

    async def _agree(self) -> None:
        """Hand over to `http` when client and we agree. The watch says when it takes too long."""
        start_tls = asyncio.get_running_loop().start_tls
        try:
            transport = await start_tls(self._transport, self, self._context, server_side=True)
        except OSError:  # it hung up, or TLS could not be agreed on
            return
        if transport and not self._transport.is_closing():
            self._forget()
            transport.set_protocol(self._http)
            self._http.connection_made(transport)
            self._pass_on()

    def get_buffer(self, _hint: int) -> memoryview:
        """Give room for what comes before `http` has taken over: asyncio reads on before it says that we agreed."""
        return self._http.get_buffer(-1)

    def buffer_updated(self, count: int) -> None:
        """Keep what came early; it comes once."""
        self._early = bytes(BUFFER[:count])

    def _pass_on(self) -> None:
        if self._early:
            self._http.get_buffer(-1)[: len(self._early)] = self._early
            self._http.buffer_updated(len(self._early))

    def _forget(self) -> None:
        self._connections.discard(self)
        self._watch.forget(self)

    def _ended(self, error: BaseException | None) -> None:
        """Give the place back if nobody took over. Raises what is no failure of a handshake: the loop reports it."""
        self._forget()
        if error:
            self.abort()
            if not isinstance(error, asyncio.CancelledError):
                raise error

    def check_time(self) -> None:
        """Cut it if its time is over."""
        if self._watch.now - self.since >= self._watch.bounds.seconds:
            self.abort()

    def give_way(self) -> None:
        """Cut it; without TLS it can be told nothing."""
        self.awaits_client = False
        self._watch.linger(self)
        self.abort()

    def abort(self) -> None:
        """Close it at once; whoever waits for the handshake sees that."""
        self._transport.abort()

    def leave(self) -> None:
        """Go on: its first answer will be its last."""

    def shutdown(self) -> None:
        """Close it: uvicorn calls this at the end."""
        self.abort()
