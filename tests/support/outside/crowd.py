"""Owns a crowd of strangers who take places: each is busy in one way, and comes again when its connection is cut."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.support.outside.wire import Address, request

_AGAIN_SECONDS = 0.2  # after it was cut
_TRICKLE_SECONDS = 0.5
_PAUSE_SECONDS = 0.02  # so that we ourselves have time for the others
_NOWHERE = request("/nowhere")
_KEYLESS = request("/postback?c=stranger&value=1")
_BATCH = {"Content-Type": "application/x-ndjson", "Content-Length": str(16 * 2**20)}

Line = socket.socket
Stranger = Callable[[Line], Awaitable[None]]


async def _send(line: Line, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(line, data)


async def _trickle(line: Line, start: bytes, piece: bytes) -> None:
    """Send what never ends, slowly, until it is cut."""
    await _send(line, start)
    while True:
        await asyncio.sleep(_TRICKLE_SECONDS)
        await _send(line, piece)


async def _until_closed(line: Line) -> None:
    while await asyncio.get_running_loop().sock_recv(line, 65536):
        pass


async def slow_head(line: Line) -> None:
    """Send a head that never ends."""
    await _trickle(line, b"GET /postback?c=", b"x")


async def slow_body(line: Line) -> None:
    """Send a body that never ends."""
    await _trickle(line, request("/postback", method="POST", headers={"Content-Length": "60000"}), b"x")


async def slow_batch(line: Line) -> None:
    """Send most of a batch at once, and the rest never."""
    await _trickle(line, request("/postbacks", method="POST", headers=_BATCH) + bytes(256 * 1024), b"x")


async def garbage(line: Line) -> None:
    """Send what is not HTTP, and stay."""
    await _send(line, b"\x16\x03\x01")
    await asyncio.sleep(60)


async def slow_reader(line: Line) -> None:
    """Ask and ask, and take no answer."""
    while True:
        await _send(line, _NOWHERE * 50)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _ask_ahead(line: Line, asked: bytes) -> None:
    """Ask always before the last answer is there, and take all answers."""
    reading = asyncio.create_task(_until_closed(line))
    try:
        while not reading.done():
            await _send(line, asked * 50)
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        reading.cancel()


async def asks_ahead(line: Line) -> None:
    """Ask ahead for what is answered at once."""
    await _ask_ahead(line, _NOWHERE)


async def asks_the_door_ahead(line: Line) -> None:
    """Ask ahead for what is answered when its rejection is stored: we owe this stranger an answer all the time."""
    await _ask_ahead(line, _KEYLESS)


async def asks_the_door(line: Line) -> None:
    """Ask for it one at a time."""
    while True:
        await _send(line, _KEYLESS)
        if not await asyncio.get_running_loop().sock_recv(line, 65536):
            return


async def half_closed(line: Line) -> None:
    """Ask once, close our half, and take the answer."""
    await _send(line, _KEYLESS)
    line.shutdown(socket.SHUT_WR)
    await _until_closed(line)


STRANGERS: dict[str, Stranger] = {
    "slow heads": slow_head,
    "slow bodies": slow_body,
    "slow batches": slow_batch,
    "garbage": garbage,
    "slow readers": slow_reader,
    "asking ahead": asks_ahead,
    "asking the door ahead": asks_the_door_ahead,
    "asking the door": asks_the_door,
    "half closed": half_closed,
}


async def _come_again(address: Address, stranger: Stranger, source: str | None) -> None:
    loop = asyncio.get_running_loop()
    while True:
        with suppress(OSError), socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(0)
            if source:
                line.bind((source, 0))
            await loop.sock_connect(line, address)
            await stranger(line)
        await asyncio.sleep(_AGAIN_SECONDS)


@asynccontextmanager
async def crowd(address: Address, stranger: Stranger, number: int, source: str | None = None) -> AsyncIterator[None]:
    """Let so many strangers be there, until the block ends; `source` is the address that they come from."""
    tasks = [asyncio.create_task(_come_again(address, stranger, source)) for _ in range(number)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
