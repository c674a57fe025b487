"""A connection is within the bounds before its client and we have agreed on TLS, and leaves nothing behind."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from service.web.wire.bounds import Bounds
from tests.support.outside.strangers import certificate
from tests.support.raw_http import GET, PATIENCE, Client, House, house, until

pytestmark = pytest.mark.anyio

FOUR = Bounds(connections=4, spare=8, body_bytes=1_000_000, seconds=60.0)
OK = b"HTTP/1.1 200 OK\r\n"
KNOWS_AND_WAITS = GET.replace(b"quick", b"knows") + GET.replace(b"quick", b"waits")
HELLO_BEGINS = b"\x16\x03\x01\x02\x00\x01\x00"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on, and on Python's own: each begins and ends TLS in its own way."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate and its key."""
    return certificate(tmp_path, 1, "localhost")


class TlsClient:
    """A client whose bytes of TLS are sent by hand."""

    def __init__(self, client: Client, chain: Path) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=chain)
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    async def agree(self, request: bytes = b"") -> None:
        """Agree on TLS; the last bytes of that go out together with a request."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.client.send(self._outgoing.read())
                await self._receive()
            else:
                break
        self.send(request)

    def send(self, data: bytes) -> None:
        """Send as TLS has it."""
        if data:
            self._tls.write(data)
        self.client.send(self._outgoing.read())

    def say_goodbye(self) -> None:
        """Say that no more will be sent, as TLS does."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self.send(b"")

    async def answer(self) -> bytes:
        """Return the beginning of what comes."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self._receive()

    async def _receive(self) -> None:
        received = await asyncio.wait_for(self.client.reader.read(65536), PATIENCE)
        if not received:
            raise ConnectionError("it was closed")
        self._incoming.write(received)


async def served(there: House, chain: Path) -> TlsClient:
    """Return a client that was served by TLS."""
    client = TlsClient(await there.connect(), chain)
    await client.agree(GET)
    assert (await client.answer()).startswith(OK)
    return client


def tls_house(tls: tuple[Path, Path], bounds: Bounds = FOUR) -> AbstractAsyncContextManager[House]:
    """Serve by TLS within these bounds."""
    return house(bounds, ssl_certfile=tls[0], ssl_keyfile=tls[1])


async def test_who_begins_no_handshake_makes_room(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls) as there:
        silent = await asyncio.gather(*(there.connect() for _ in range(12)))
        silent[-1].send(HELLO_BEGINS)
        client = await served(there, tls[0])
        await until(lambda: sum(each.reader.at_eof() for each in silent) == 9)
        await until(lambda: len(there.connections) == 4)
        client.send(GET)
        assert (await client.answer()).startswith(OK)
    assert not there.connections


async def test_who_agreed_takes_one_place(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls) as there:
        clients = [await served(there, tls[0]) for _ in range(4)]
        assert len(there.connections) == 4
        for each in clients:
            each.send(GET)
            assert (await each.answer()).startswith(OK)


async def test_what_is_sent_with_the_last_bytes_of_the_handshake_is_answered_whole(tls: tuple[Path, Path]) -> None:
    posted = b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    async with tls_house(tls) as there:
        client = TlsClient(await there.connect(), tls[0])
        await client.agree(posted + GET)
        answers = b""
        while answers.count(OK) < 2:
            answers += await client.answer()
        assert there.bodies == [(100_000, True)]


async def test_who_sends_and_says_goodbye_at_once_is_heard(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls) as there:
        client = TlsClient(await there.connect(), tls[0])
        await client.agree()
        client.send(b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        client.say_goodbye()
        await until(lambda: there.bodies == [(4, True)])
        await until(lambda: not there.connections)


def hang_up_in_the_middle(client: Client) -> None:
    """Begin a handshake, and go."""
    client.send(HELLO_BEGINS)
    client.writer.close()


ENDS: dict[str, Callable[[Client], None]] = {
    "no TLS": lambda client: client.send(GET),
    "it hangs up": lambda client: client.writer.close(),
    "it hangs up in the middle": hang_up_in_the_middle,
    "it resets": lambda client: client.writer.transport.abort(),
    "it sends no more": lambda client: client.writer.write_eof(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_handshake_that_fails_leaves_nothing(tls: tuple[Path, Path], end: Callable[[Client], None]) -> None:
    async with tls_house(tls) as there:
        tasks = len(asyncio.all_tasks())
        for pause in (0, 0.05):
            clients = [await there.connect() for _ in range(3)]
            await asyncio.sleep(pause)
            for client in clients:
                end(client)
            await asyncio.sleep(0.05)
            await until(lambda: not there.connections)
        assert len(asyncio.all_tasks()) == tasks


async def test_a_handshake_that_nobody_begins_is_cut(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls, FOUR._replace(seconds=0.2)) as there:
        clients = [await there.connect() for _ in range(3)]
        clients[1].send(HELLO_BEGINS)
        await until(lambda: len(there.connections) == 3)
        for client in clients:
            assert await client.rest() == b""
        await until(lambda: not there.connections)


async def test_who_comes_when_known_clients_are_being_served_is_told_so_by_tls(
    tls: tuple[Path, Path],
) -> None:
    async with tls_house(tls) as there:
        clients = [TlsClient(await there.connect(), tls[0]) for _ in range(4)]
        for each in clients:
            await each.agree(KNOWS_AND_WAITS)
            assert (await each.answer()).startswith(OK)
        await until(lambda: there.waiting == 4)
        silent = [await there.connect() for _ in range(20)]
        newcomer = TlsClient(await there.connect(), tls[0])
        await newcomer.agree(GET)
        assert (await newcomer.answer()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        await until(lambda: sum(each.reader.at_eof() for each in silent) >= 12)
        assert there.unparsed == {503: 1}
        there.go_on.set()
        for each in clients:
            assert (await each.answer()).startswith(OK)


async def test_who_found_no_place_at_first_has_one_that_became_free(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls) as there:
        for _ in range(4):
            await TlsClient(await there.connect(), tls[0]).agree(KNOWS_AND_WAITS)
        await until(lambda: there.waiting == 4)
        newcomer = TlsClient(await there.connect(), tls[0])
        await until(lambda: len(there.connections) == 5)
        there.go_on.set()
        await newcomer.agree(GET)
        assert (await newcomer.answer()).startswith(OK)


async def test_a_server_that_ends_waits_for_no_handshake(tls: tuple[Path, Path]) -> None:
    async with tls_house(tls) as there:
        tasks = len(asyncio.all_tasks())
        clients = [await there.connect() for _ in range(3)]
        clients[1].send(HELLO_BEGINS)
        await until(lambda: len(there.connections) == 3)
    assert not there.connections
    assert len(asyncio.all_tasks()) < tasks
