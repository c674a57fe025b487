"""Owns a server on the service's own HTTP protocol, and clients that write bytes to it by hand."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from service.process.sockets import bound
from service.telemetry.metrics.room import Places
from service.web.wire.bounds import Bounds
from service.web.wire.http_server import HttpServer
from service.web.wire.known_clients import vouch_for_client

PATIENCE = 20

GET = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"


class Client:
    """One connection, from the other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        """Put bytes on the wire."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of one answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split(b" ")[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return what comes until the connection ends, however it does."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE)
        except ConnectionError:
            return b""


@dataclass
class House:
    """A server whose application does what its path says, and what it counted."""

    port: int = 0
    unparsed: Counter[int] = field(default_factory=Counter)
    bodies: list[tuple[int, bool]] = field(default_factory=list)  # how long, and whether whole
    waiting: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    sent_all: asyncio.Event = field(default_factory=asyncio.Event)
    connections: Collection[object] = ()  # that the server knows of
    places: Places = field(default_factory=lambda: Places(int, int, 0))
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, having vouched for the client, read the body or waited, or with more than anybody takes."""
        if scope["path"] == "/knows":
            vouch_for_client(scope)
        if scope["path"] in ("/waits", "/reads-late"):
            self.waiting += 1
            await self.go_on.wait()
        if scope["path"] in ("/reads", "/reads-late"):
            await self.read(receive)
        if scope["path"] == "/large":
            self.waiting += 1
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            self.sent_all.set()
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"OK"})

    async def read(self, receive: Receive) -> None:
        """Read a body to its end."""
        size, message = 0, await receive()
        while message["type"] == "http.request":
            size += len(message["body"])
            if not message["more_body"]:
                break
            message = await receive()
        self.bodies.append((size, message["type"] == "http.request"))

    async def connect(self) -> Client:
        """Open a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.stack.callback(writer.close)
        return Client(reader, writer)


@asynccontextmanager
async def house(bounds: Bounds, *, by_hand: bool = True, **options: object) -> AsyncIterator[House]:
    """Serve within these bounds."""
    built = House()
    with bound("127.0.0.1", 0) as listening:
        server = HttpServer(
            built.application, lambda code: built.unparsed.update([code]), bounds, drain=1, by_hand=by_hand, **options
        )
        built.places = server.places
        built.connections = server.server_state.connections
        serving = await server.begin(listening)
        built.port = listening.getsockname()[1]
        try:
            async with built.stack:
                yield built
        finally:
            server.should_exit = True
            await serving
            await asyncio.sleep(0.01)  # closed connections are really closed only in one of the loop's next turns


def head_of(size: int) -> bytes:
    """Return a request without a body that is so long."""
    start, end = b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Long: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


async def until(look: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not look():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)
