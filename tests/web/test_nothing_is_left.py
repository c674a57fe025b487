"""However a connection ends, it leaves nothing to the garbage collector: what it held is free at once."""

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.web.wire.bounded_connection import BoundedConnection
from service.web.wire.bounds import Bounds
from service.web.wire.cycle import RequestCycle
from service.web.wire.handshake import Handshake
from tests.support.outside.strangers import certificate
from tests.support.raw_http import GET, House, house, until

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(connections=100, spare=8, body_bytes=1_000_000, seconds=60.0)
SENT = {
    "half a head": b"GET /quick HT",
    "half a body": b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n" + bytes(60_000),
    "a broken body": b"POST /reads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "many ahead": GET * 1_000,
    "what waits": GET.replace(b"quick", b"waits"),
    "what is not read": GET.replace(b"quick", b"large"),
}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on: what happens to closed connections is its business."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def sent_and_hung_up(there: House, data: bytes, trusted: ssl.SSLContext | None) -> None:
    """Send it, hang up before all of the answer is there, and wait until the server has seen that."""
    _reader, writer = await asyncio.open_connection(
        "127.0.0.1", there.port, ssl=trusted, server_hostname="localhost" if trusted else None
    )
    writer.write(data)
    await until(lambda: len(there.connections) == 1)
    await asyncio.sleep(0.05)  # it is read
    writer.transport.abort()
    there.go_on.set()
    await until(lambda: not there.connections)
    await asyncio.sleep(0.01)  # the application ends


def left() -> Counter[str]:
    """Count what is there of connections."""
    return Counter(
        type(each).__name__
        for each in gc.get_objects()
        if isinstance(each, BoundedConnection | RequestCycle | Handshake)
    )


@pytest.mark.proof
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.usefixtures("_no_collector")
async def test_a_connection_leaves_nothing_to_the_garbage_collector(sent: str, *, tls: bool, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, 1, "localhost") if tls else (None, None)
    trusted = ssl.create_default_context(cafile=chain) if tls else None
    async with house(BOUNDS, ssl_certfile=chain, ssl_keyfile=key) as there:
        await sent_and_hung_up(there, SENT[sent], trusted)
        assert left() == {}
