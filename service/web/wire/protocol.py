"""Owns the HTTP/1.1 protocol: uvicorn's, with the query as it was sent, and each response in one write.

uvicorn writes a response's head and body separately, and uvloop makes a system call and a TCP segment of each. Joining
them saves a tenth of a request's time here and as much at the client.
"""

import asyncio
import re
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_INTERIM = b"HTTP/1.1 100"
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class JoinedWrites:
    """A transport that holds the first write back until the second: a head waits for its body.

    The writer of a head must call `release` when the response is complete, since not every head has a body. Everything
    else is the transport's own.
    """

    __slots__ = ("_held", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_closing = transport.is_closing  # asked for each response: not by way of __getattr__
        self._transport = transport
        self._held = b""

    def write(self, piece: bytes) -> None:
        """Hold a first piece; send it with the second. An interim response (100 Continue) is sent at once."""
        if self._held:
            piece, self._held = self._held + piece, b""
        elif not piece.startswith(_INTERIM):
            self._held = piece
            return
        self._send(piece)

    def release(self) -> None:
        """Send what is held."""
        if self._held:
            piece, self._held = self._held, b""
            self._send(piece)

    def _send(self, piece: bytes) -> None:
        """Send it, unless the client has hung up: then there is nobody to send it to."""
        if not self.is_closing():
            self._transport.write(piece)

    def close(self) -> None:
        """Send what is held, then close."""
        self.release()
        self._transport.close()

    def abort(self) -> None:
        """Close, and throw away what was not sent."""
        self._transport.abort()

    def end(self) -> None:
        """Send what is held, then end the stream; with TLS, close it, since only that ends it."""
        self.release()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def __getattr__(self, name: str) -> object:
        """Give what only the transport has."""
        return getattr(self._transport, name)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a JoinedWrites transport.

    While `leaving()` is true, each answer is the last of its connection, and says so (`Connection: close`).
    """

    transport: JoinedWrites  # type: ignore[assignment]  # it acts as one
    _between_requests = True

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        leaving: Callable[[], bool] = bool,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._leaving = leaving

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Wrap the transport."""
        super().connection_made(JoinedWrites(transport))  # type: ignore[arg-type]  # it acts as one

    def data_received(self, data: bytes) -> None:
        """Percent-encode what is not ASCII in a request line.

        The parser refuses such bytes with a 400 that nobody counts or keeps; encoded, they get their outcome. Only at
        the start of a request: anywhere else the lengths of bodies would no longer be true.
        """
        if self._between_requests and not data.isascii():
            line, end, rest = data.partition(b"\r\n")
            data = _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + end + rest
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._between_requests = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._between_requests = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Keep what follows a raw # in the query: the parser takes it for a fragment, and two click ids become one."""
        super().on_headers_complete()
        if b"#" in self.url:  # the request's task has not begun yet
            path, _, query = self.url.partition(b"?")
            self.scope["path"], self.scope["query_string"] = path.decode("latin-1"), query
        if self._leaving():
            self.leave()

    def leave(self) -> None:
        """Make the present answer, if any, the last one of this connection."""
        if self.cycle:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Send a head that has no body."""
        self.transport.release()
        super().on_response_complete()
