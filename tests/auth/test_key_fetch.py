"""The fetching of an issuer's documents, from servers on loopback that answer with anything."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.auth.oauth.discovery import CannotRead
from service.auth.oauth.key_fetch import MOST_BYTES, KeyFetch
from tests.support.fakes import in_time

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(answer: bytes, *, stay: bool = False) -> AsyncIterator[str]:
    """Serve these bytes to whoever connects, on loopback; return the address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        try:
            await writer.drain()
            if stay:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_a_document_is_fetched_as_it_is() -> None:
    async with answering(response(b'{"keys": []}')) as url:
        assert await KeyFetch()(url) == b'{"keys": []}'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(b"", "302 Found", "Location: http://127.0.0.1/elsewhere"), "HTTP 302"),
        (response(b"", "404 Not Found"), "HTTP 404"),
        (response(b"{}", "203 Non-Authoritative Information"), "HTTP 203"),
        (response(b"x" * (MOST_BYTES + 1)), "larger than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n%b\r\n" % (b"x" * 65536) * 5, "larger"),
        (response(gzip.compress(bytes(10**7)), "200 OK", "Content-Encoding: gzip"), "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "no answer"),
        (b"SSH-2.0-OpenSSH\r\n", "no answer"),
        (b"", "no answer"),
    ],
    ids=["redirect", "missing", "not_200", "huge", "huge_in_chunks", "compressed", "half", "no_http", "nothing"],
)
async def test_an_answer_that_is_no_document_is_a_reason(answer: bytes, reason: str) -> None:
    async with answering(answer) as url:
        with pytest.raises(CannotRead, match=reason) as cannot:
            await in_time(KeyFetch()(url))
    assert "\n" not in str(cannot.value)


async def test_an_answer_that_does_not_end_is_left_when_it_is_too_large() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_BYTES + 1), stay=True) as url:
        with pytest.raises(CannotRead, match="larger"):
            await in_time(KeyFetch()(url))


async def test_nobody_there_is_a_reason() -> None:
    async with answering(b"") as url:
        pass
    with pytest.raises(CannotRead, match="no answer"):
        await KeyFetch()(url)
