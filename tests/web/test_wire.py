"""One request at a time: what is sent ahead, half-closed clients, 100 Continue, refused connections, and the ends."""

import asyncio
import gc
import ssl
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from service.web.wire.bounds import HEAD_BYTES
from service.web.wire.cycle import RequestCycle
from tests.support.in_memory import BOUNDS, Exchanged
from tests.support.outside.strangers import certificate
from tests.support.raw_http import GET, PATIENCE, house, until

pytestmark = pytest.mark.anyio

POST = b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}


async def test_what_is_sent_ahead_is_not_read_before_its_turn_and_goes_with_the_connection() -> None:
    go_on = asyncio.Event()

    async def waits(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    exchanged, sent = Exchanged(waits), GET * 8_000
    exchanged.wire.send(sent)
    await exchanged.settle()
    assert len(sent) - len(exchanged.wire.waiting) <= HEAD_BYTES
    assert len(exchanged.state.tasks) == 1
    exchanged.wire.close()
    await exchanged.settle()
    go_on.set()
    await exchanged.settle()
    assert exchanged.wire.written == b""
    assert not exchanged.state.tasks
    assert not exchanged.state.connections


async def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        exchanged = Exchanged(waits_a_little)
        assert await exchanged.came_of([GET * 3]) == ["204"] * 3
        assert [it for it in gc.get_objects() if isinstance(it, RequestCycle)] == []
    finally:
        gc.enable()


async def waits_a_little(_scope: Scope, _receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "as a task"])
async def test_who_closes_his_half_gets_every_answer_that_he_asked_for(*, by_hand: bool) -> None:
    async with house(BOUNDS, by_hand=by_hand) as there:
        client = await there.connect()
        client.send(GET.replace(b"quick", b"waits") + POST + b"\r\nhello" + GET + b"GET /half")
        client.writer.write_eof()
        await until(lambda: there.waiting == 1)
        there.go_on.set()
        assert [await client.answer() for _ in range(3)] == [(200, b"OK")] * 3
        assert await client.rest() == b""
        assert there.bodies == [(5, True)]


@pytest.mark.parametrize("path", [b"reads", b"quick"], ids=["that is read", "that nobody reads"])
async def test_who_closes_his_half_within_a_body_is_answered(path: bytes) -> None:
    async with house(BOUNDS) as there:
        client = await there.connect()
        client.send(POST.replace(b"reads", path) + b"\r\nhe")
        await until(lambda: bool(there.connections))
        client.writer.write_eof()
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""
        assert there.bodies == ([(2, False)] if path == b"reads" else [])


@pytest.mark.parametrize("sent", [b"", b"GET /qui", GET + b"\r\n"], ids=["nothing", "half a head", "a line end"])
async def test_who_closes_his_half_and_has_no_answer_to_come_is_hung_up_on(sent: bytes) -> None:
    async with house(BOUNDS) as there:
        client = await there.connect()
        client.send(sent)
        client.writer.write_eof()
        assert (await client.rest()).count(b"HTTP/1.1") == sent.count(GET)


async def test_a_body_that_is_expected_is_asked_for() -> None:
    async with house(BOUNDS) as there:
        client = await there.connect()
        client.send(POST + b"Expect: 100-continue\r\n\r\n")
        interim = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello" + GET)
        assert [await client.answer() for _ in range(2)] == [(200, b"OK")] * 2
        assert there.bodies == [(5, True)]


async def test_a_body_that_came_is_not_asked_for_and_one_that_nobody_reads_ends_the_connection() -> None:
    async with house(BOUNDS) as there:
        client = await there.connect()
        client.send(POST + b"Expect: 100-continue\r\n\r\nhello")
        assert await client.answer() == (200, b"OK")
        client.send(POST.replace(b"reads", b"quick") + b"Expect: 100-continue\r\n\r\n")
        told = await client.rest()
        assert told.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in told


async def test_who_is_refused_takes_no_place() -> None:
    async with house(BOUNDS._replace(connections=3, spare=2)) as there:
        for _ in range(10):
            (await there.connect()).send(b"\x16\x03\x01")
        await until(lambda: there.unparsed[400] == 10)
        served = [await there.connect() for _ in range(3)]
        for client in served:
            client.send(GET)
            assert await client.answer() == (200, b"OK")
        assert there.unparsed == {400: 10}


async def test_a_connection_may_rest_longer_than_a_request_may_take() -> None:
    async with house(BOUNDS._replace(seconds=0.2, keep_alive=2.0)) as there:
        client = await there.connect()
        for _ in range(2):
            client.send(GET)
            assert await client.answer() == (200, b"OK")
            await asyncio.sleep(1)
        assert await client.rest() == b""
        assert there.unparsed == {}


async def test_headers_are_those_before_the_body_and_no_trailer() -> None:
    seen: list[object] = []

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key:  mine \r\nTransfer-Encoding: chunked\r\n\r\n"
    await Exchanged(reads).came_of([head, b"0\r\nX-Api-Key: another\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"])
    assert seen == [(b"host", b"a"), (b"x-api-key", b"mine"), (b"transfer-encoding", b"chunked")]


async def test_over_tls_it_is_the_same(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, 1, "localhost")
    trusting = ssl.create_default_context(cafile=chain)
    posted = b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000)
    async with house(BOUNDS, ssl_certfile=chain, ssl_keyfile=key) as there:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", there.port, ssl=trusting, server_hostname="localhost"
        )
        writer.write(GET * 1000 + posted + GET + b"nonsense\r\n")
        told = await asyncio.wait_for(reader.read(), PATIENCE)
        assert told.count(b"HTTP/1.1 200 OK\r\n") == 1002
        assert told.count(b"HTTP/1.1 400 Bad Request\r\n") == 1
        assert there.bodies == [(500_000, True)]
        writer.close()
