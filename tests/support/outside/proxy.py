"""Owns a network that misbehaves: a TCP proxy that delays, holds everything back, resets, or cuts when told to."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Self

from tests.support.outside.wire import Address

_CHUNK = 65536
_READY = b"Z\x00\x00\x00\x05"  # PostgreSQL's ReadyForQuery: what was asked is done, and committed if it was to be
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Proxy:
    """Passes connections to `target` on, from the entering of the context to its end, on a thread of its own.

    `delay` is how many seconds whatever a client sends is kept before it goes on.
    """

    def __init__(self, target: Address) -> None:
        self.delay = 0.0
        self.cuts = 0
        self._target = target
        self._mark: bytes | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up on everybody."""
        self._do(self._end.set)
        self._thread.join(10)

    def hold(self) -> None:
        """Be a black hole: connections stay, new ones are taken, and nothing arrives until `release`."""
        self._do(self._passing.clear)

    def release(self) -> None:
        """Let everything arrive that was held back, as TCP's retransmissions do."""
        self._do(self._passing.set)

    def reset(self) -> None:
        """Reset every connection, both ways."""
        self._do(self._reset_all)

    def cut_after(self, mark: bytes) -> None:
        """Once: when the server has done what a client sent with `mark` in it, swallow the answer and cut the line."""
        self._mark = mark

    def _do(self, action: Callable[[], object]) -> None:
        done = Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10)

    async def _serve(self) -> None:
        self._loop, self._end, self._passing = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._passing.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        self.address: Address = server.sockets[0].getsockname()[:2]
        self._started.set()
        await self._end.wait()
        server.close()
        self._passing.set()
        self._reset_all()
        await server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._passing.wait()
            with suppress(OSError):
                await self._join(reader, writer)
        finally:
            _abort(writer)
            self._open.discard(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        self._open.add(server_writer)
        line = _Line(self)
        pumps = [
            asyncio.create_task(line.forth(reader, server_writer)),
            asyncio.create_task(line.back(server_reader, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        _abort(server_writer)
        _abort(writer)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._open.discard(server_writer)

    def _reset_all(self) -> None:
        for writer in self._open:
            _abort(writer)

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        await self._passing.wait()

    def _spring(self, chunk: bytes) -> bool:
        """Tell whether the trap's mark is in it; then the trap is used up."""
        if self._mark is None or self._mark not in chunk:
            return False
        self._mark = None
        return True


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._doomed = False

    async def forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._proxy._wait(self._proxy.delay)  # noqa: SLF001 - its other half
            self._doomed = self._doomed or self._proxy._spring(chunk)  # noqa: SLF001 - same
            writer.write(chunk)
            await writer.drain()

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._proxy._wait(0)  # noqa: SLF001 - same
            if not self._doomed:
                writer.write(chunk)
                await writer.drain()
            elif _READY in chunk:
                self._proxy.cuts += 1
                return


def _abort(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection and not writer.transport.is_closing():
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
