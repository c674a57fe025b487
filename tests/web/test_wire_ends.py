"""The ends of a connection: what is in its way when somebody sends on, hangs up, takes nothing or is refused."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from service.web.wire.bounds import HEAD_BYTES
from tests.support.in_memory import BOUNDS, Exchanged
from tests.support.outside.strangers import certificate
from tests.support.raw_http import GET, PATIENCE, house, until

pytestmark = pytest.mark.anyio

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}


class Watching:
    """An application that answers when it is told to, and listens for the client's end, as a stream does."""

    def __init__(self) -> None:
        self.go_on, self.ended = asyncio.Event(), 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await receive()
        gone = asyncio.ensure_future(receive())
        await asyncio.wait({gone, asyncio.ensure_future(self.go_on.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        assert (await gone)["type"] == "http.disconnect"
        self.ended += 1


async def test_what_waits_is_within_the_bound_while_an_application_listens_for_the_end() -> None:
    watching = Watching()
    exchanged = Exchanged(watching, by_hand=False)
    exchanged.wire.send(GET * 2_000)
    await exchanged.settle()
    assert len(GET) * 2_000 - len(exchanged.wire.waiting) <= HEAD_BYTES
    watching.go_on.set()
    await exchanged.settle()
    assert exchanged.answers() == [""] * 2_000
    assert watching.ended == 2_000


async def test_a_body_that_is_none_is_not_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    head = POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchanged = Exchanged()
    assert await exchanged.came_of([head + b"x\r\n"]) == ["400"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("extension", [240, 260, 300, 5_000])
async def test_a_chunk_extension_has_one_bound_however_it_is_cut(extension: int) -> None:
    sent = POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * extension + b"\r\nhello\r\n0\r\n\r\n"
    whole = await Exchanged().came_of([sent])
    assert whole == (["POST / hello"] if extension == 240 else ["400"])
    for at in range(1, len(sent), 7):
        assert await Exchanged().came_of([sent[:at], sent[at:]]) == whole


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b""], ids=["said by the client", "said by the service"])
async def test_the_last_answer_arrives_whatever_was_sent_behind_the_request(last: bytes) -> None:
    async with house(BOUNDS) as there:
        request = GET.replace(b"Host", last + b"Host") if last else GET.replace(b"1.1", b"1.0")
        for _ in range(20):
            client = await there.connect()
            client.send(request + b"x" * 300_000)
            await asyncio.sleep(0.02)  # all of it has come
            assert (await client.answer()) == (200, b"OK")
            assert await client.rest() == b""


async def test_who_is_cut_for_a_newcomer_and_takes_nothing_has_no_place() -> None:
    async with house(BOUNDS._replace(connections=3, spare=2)) as there:
        for _ in range(12):
            client = await there.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport that reads
            client.send(GET.replace(b"quick", b"large"))
        await asyncio.sleep(0.2)
        served = await there.connect()
        served.send(GET)
        assert await served.answer() == (200, b"OK")


async def test_who_is_refused_by_tls_takes_no_place(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, 1, "localhost")
    trusting = ssl.create_default_context(cafile=chain)
    async with house(BOUNDS._replace(connections=3, spare=20), ssl_certfile=chain, ssl_keyfile=key) as there:

        def connect(sent: bytes) -> ssl.SSLSocket:
            raw = socket.create_connection(("127.0.0.1", there.port), PATIENCE)
            wrapped = trusting.wrap_socket(raw, server_hostname="localhost")
            there.stack.callback(wrapped.close)
            wrapped.sendall(sent)
            return wrapped

        for _ in range(9):
            await asyncio.to_thread(connect, b"nonsense\r\n")  # it never reads, nor says that it goes
        await until(lambda: there.unparsed[400] == 9)
        served = [await asyncio.to_thread(connect, GET) for _ in range(3)]
        for client in served:
            assert (await asyncio.to_thread(client.recv, 100)).startswith(b"HTTP/1.1 200 OK")


async def test_a_refused_client_that_hangs_up_is_not_waited_for() -> None:
    go_on = asyncio.Event()

    async def waits(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await go_on.wait()

    exchanged = Exchanged(waits)
    assert await exchanged.came_of([POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n"]) == ["400"]
    assert not exchanged.connection.eof_received()
    go_on.set()
    await exchanged.settle()
