"""Owns the bytes of a connection as they come and go: how much is read at once, and when nothing is.

It is a BufferedProtocol because such a protocol gives the room for what is read, and so decides how much that is.
"""

import asyncio
from typing import cast

from service.web.wire.bounds import BODY_READ_BYTES

BUFFER = memoryview(bytearray(BODY_READ_BYTES))  # one for all: it is emptied in the moment in which it is filled

Address = tuple[str, int | None]


class _Gone(asyncio.Transport):
    """What a connection has in its transport's place at its end: one of TLS refers to the connection for ever."""

    def is_closing(self) -> bool:
        """Return that it is."""
        return True

    def close(self) -> None:
        """Do nothing."""

    abort = close


_GONE = _Gone()


class Flow(asyncio.BufferedProtocol):
    """The transport of a connection, with its two directions. `writable`: the client does not take what we write."""

    def __init__(self) -> None:
        self.writable: asyncio.Future[None] | None = None
        self.paused = False
        self.half_closed = False  # the client said that it sends no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.tls = transport.get_extra_info("sslcontext") is not None
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))

    def connection_lost(self, _error: Exception | None) -> None:
        """Let go of the transport."""
        self.transport = _GONE

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client has hung up."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless there is nothing to come."""
        if self.paused and not self.half_closed and not self.transport.is_closing():
            self.paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Let the application wait."""
        if self.writable is None:
            self.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let the application go on."""
        if self.writable and not self.writable.done():  # whoever waited may have been cancelled
            self.writable.set_result(None)
        self.writable = None

    def abort(self) -> None:
        """Close it at once, whatever was not sent yet."""
        self.transport.abort()


def _address(name: object) -> Address | None:
    """Return an address as ASGI has it; None where a client has none, at a UNIX socket."""
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return (name, None) if name and isinstance(name, str) else None
