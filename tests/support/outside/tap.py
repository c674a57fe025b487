"""Owns a relay that passes connections on and keeps what went over them: the ground truth between two servers."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from threading import Event, Thread
from typing import NamedTuple, Self

import h11

from tests.support.outside.wire import Address, Answer, split_answer

_CLICK_ID = re.compile(rb"[?&]c=([a-z0-9-]+)")


class Exchange(NamedTuple):
    """A request as h11 reads it, and the answer that came for it; None: there is none. No target: h11 refuses it."""

    target: bytes
    complete: bool
    answer: Answer | None

    @property
    def click_id(self) -> str | None:
        """The click id in its query."""
        found = _CLICK_ID.search(self.target)
        return found and found[1].decode()


class Tap:
    """Passes connections to `target` on, from the entering of the context to its end, on a thread of its own."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._lines: list[tuple[bytearray, bytearray]] = []
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="tap", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up on everybody."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def exchanges(self) -> Iterator[list[Exchange]]:
        """Yield what was exchanged, by connection."""
        for sent, answered in self._lines:
            yield list(_exchanges(bytes(sent), bytes(answered)))

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._join, "127.0.0.1", 0, backlog=1000)
        self.address: Address = server.sockets[0].getsockname()[:2]
        self._started.set()
        await self._end.wait()
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # and those that come meanwhile
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # what is closed is really closed in one of the loop's next turns

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.CancelledError):  # it is the end
            there, back = await asyncio.open_connection(*self._target)
            with closing(back):
                sent, answered = bytearray(), bytearray()
                self._lines.append((sent, answered))
                await asyncio.gather(_pump(reader, back, sent), _pump(there, writer, answered))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            kept += piece
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


def _exchanges(sent: bytes, answered: bytes) -> Iterator[Exchange]:
    while sent:
        method, target, rest = _read(sent)
        answer, answered = _next_answer(answered, head_only=method == b"HEAD")
        yield Exchange(target, rest is not None, answer)
        sent = rest or b""
    assert answered == b"", f"nobody asked for {answered[:200]!r}"


def _read(sent: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return the method and the target of a request, and what follows it; None: its body is not complete."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    try:
        request = connection.next_event()
        assert isinstance(request, h11.Request), sent
        while isinstance(event := connection.next_event(), h11.Data):
            pass
    except h11.RemoteProtocolError:
        return b"", b"", None
    rest = connection.trailing_data[0] if isinstance(event, h11.EndOfMessage) else None
    return bytes(request.method), bytes(request.target), rest


def _next_answer(answered: bytes, *, head_only: bool) -> tuple[Answer | None, bytes]:
    while found := split_answer(answered, head_only=head_only):
        answer, answered = found
        if answer.status >= 200:
            return answer, answered
    return None, answered
