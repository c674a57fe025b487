"""Owns a connection of the service's HTTP protocol without a socket: bytes in, and what comes of them."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from service.web.wire.answer import DefaultHead
from service.web.wire.bounded_connection import BoundedConnection
from service.web.wire.bounds import Bounds, ConnectionWatch
from service.web.wire.head import HeadParser
from service.web.wire.turns import Turns
from tests.support.outside.wire import Answer, split_answer

if TYPE_CHECKING:
    from asyncio import BufferedProtocol

BOUNDS = Bounds(connections=100, spare=8, body_bytes=1_000_000, seconds=60)


class Wire(asyncio.Transport):
    """A transport that holds what is sent to the protocol while reading is paused, and keeps what it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.waiting = bytearray()
        self.most_buffered = 0
        self.paused = self.closed = self.ended = False

    def carry(self, protocol: "BufferedProtocol") -> None:
        """Begin the connection."""
        self._protocol = protocol
        protocol.connection_made(self)

    def send(self, piece: bytes) -> None:
        """Give the protocol bytes, as one segment, or later if it does not read."""
        self.waiting += piece
        self._flow()

    def _flow(self) -> None:
        while self.waiting and not self.paused and not self.closed:
            room = cast("memoryview", self._protocol.get_buffer(-1))
            count = min(len(room), len(self.waiting))
            assert count > 0
            room[:count] = self.waiting[:count]
            del self.waiting[:count]
            self._protocol.buffer_updated(count)

    def pause_reading(self) -> None:
        """Hold what comes."""
        self.paused = True

    def resume_reading(self) -> None:
        """Give what came, in a later turn of the loop."""
        self.paused = False
        asyncio.get_running_loop().call_soon(self._flow)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell addresses."""
        return {"peername": ("192.0.2.1", 50000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it. Raises RuntimeError once it is closed, as uvloop's transport does."""
        if self.closed or self.ended:
            raise RuntimeError("unable to perform operation on closed transport")
        self.written += data

    def write_eof(self) -> None:
        """Note the end."""
        self.ended = True

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close it, and tell the protocol in a later turn of the loop."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was understood of the request; to HEAD with nothing."""
    body, message = b"", await receive()
    while message["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
        message = await receive()
    query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
    said = f"{scope['method']} {scope['path']}{query}{f' {body.decode()}' if body else ''}".encode()
    said = b"" if scope["method"] == "HEAD" else said
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


class Exchanged:
    """One connection to an application, and what came of it."""

    def __init__(
        self, application: ASGIApp = echo, *, by_hand: bool = True, bounds: Bounds = BOUNDS, wire: Wire | None = None
    ) -> None:
        config = uvicorn.Config(application, lifespan="off", log_config=None, interface="asgi3")
        config.load()
        config.loaded_app = application
        self.unparsed: Counter[int] = Counter()
        self.state = ServerState()
        self.watch = ConnectionWatch(bounds, lambda status: self.unparsed.update([status]))
        self.wire = wire or Wire()
        self.connection = BoundedConnection(
            config,
            self.state,
            {},
            watch=self.watch,
            parser=PARSER,
            default_head=DefaultHead(),
            turns=Turns(),
            by_hand=by_hand,
        )
        self.wire.carry(self.connection)

    async def settle(self) -> None:
        """Let everything happen that can."""
        quiet, seen = 0, None
        while quiet < 6:  # a task, what it waits for and the next request each take a turn
            await asyncio.sleep(0)
            now = (len(self.wire.written), len(self.wire.waiting), self.wire.closed, len(self.state.tasks))
            quiet = quiet + 1 if now == seen else 0
            seen = now

    async def came_of(self, pieces: Iterable[bytes]) -> list[str]:
        """Send pieces; return what each answer says: what was understood, or its status if that is not 200."""
        for piece in pieces:
            self.wire.send(piece)
            await self.settle()
        return self.answers()

    def answers(self) -> list[str]:
        """Return what each answer says so far."""
        return [it.body.decode() if it.status == HTTPStatus.OK else str(it.status) for it in self.whole_answers()]

    def whole_answers(self) -> list[Answer]:
        """Return the answers so far. That a body is asked for is no answer."""
        came, rest = [], bytes(self.wire.written)
        while found := split_answer(rest):
            answer, rest = found
            if answer.status != HTTPStatus.CONTINUE:
                came.append(answer)
        assert rest == b""
        return came


PARSER = HeadParser()  # one for all, as in the service
