"""An application's answer on the wire: framing, headers that cannot become two, and what is said when it fails."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.web.wire.http_server import HttpServer
from tests.support.in_memory import BOUNDS, Exchanged
from tests.support.raw_http import GET

pytestmark = pytest.mark.anyio

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = (b"content-length", b"5")


async def answered(
    *bodies: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = (), sent: bytes = GET
) -> tuple[str, bool]:
    """Return what an answer in these pieces is on the wire, and whether the connection goes on."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    exchanged = Exchanged(application)
    exchanged.wire.send(sent)
    await exchanged.settle()
    return exchanged.wire.written.decode(), not exchanged.wire.closed


async def test_a_body_of_known_length_is_sent_as_it_is() -> None:
    assert await answered(b"he", b"llo", headers=[LENGTH]) == (
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        True,
    )


async def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    assert await answered(b"he", b"", b"llo") == (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        True,
    )


async def test_to_http_1_0_the_end_of_the_connection_ends_it() -> None:
    assert await answered(b"hello", sent=GET.replace(b"1.1", b"1.0")) == (
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
        False,
    )


@pytest.mark.parametrize("status", [204, 304])
async def test_some_answers_have_no_body(status: int) -> None:
    text, goes_on = await answered(b"hello", status=status)
    assert text.endswith("\r\n\r\n")
    assert text.count("\r\n") == 2
    assert goes_on


async def test_the_answer_to_head_has_the_head_only() -> None:
    text, goes_on = await answered(b"hello", headers=[LENGTH], sent=GET.replace(b"GET", b"HEAD"))
    assert (text, goes_on) == ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", True)


async def test_the_application_may_end_the_connection() -> None:
    text, goes_on = await answered(b"hello", headers=[LENGTH, (b"Connection", b"close")])
    assert text.count("connection: close\r\n") == 1
    assert not goes_on


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_never_becomes_two(value: bytes) -> None:
    text, goes_on = await answered(b"hello", headers=[LENGTH, (b"x", value)])
    assert text.startswith("HTTP/1.1 500 ")
    assert not goes_on


@pytest.mark.parametrize("bodies", [(b"hell",), (b"hello", b"!")])
async def test_a_body_that_is_not_as_long_as_was_said_ends_the_connection(bodies: tuple[bytes, ...]) -> None:
    _, goes_on = await answered(*bodies, headers=[LENGTH])
    assert not goes_on


async def test_an_answer_without_an_end_ends_the_connection() -> None:
    text, goes_on = await answered()
    assert text.startswith("HTTP/1.1 500 ")  # its head was held, and is thrown away
    assert not goes_on


STARTED: Message = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "as a task"])
@pytest.mark.parametrize("waits", [True, False], ids=["after waiting", "at once"])
@pytest.mark.parametrize("messages", [[], [STARTED], [{"type": "http.response.body"}]])
async def test_an_application_that_fails_is_answered_for(
    messages: Sequence[Message], *, waits: bool, by_hand: bool
) -> None:
    async def fails(_scope: Scope, _receive: Receive, send: Send) -> None:
        if waits:
            await asyncio.sleep(0.01)
        for message in messages:
            await send(message)
        raise LookupError

    exchanged = Exchanged(fails, by_hand=by_hand)
    exchanged.wire.send(GET + NEXT)
    await asyncio.sleep(0.05)
    assert exchanged.wire.written.count(b"HTTP/1.1") == 1
    assert exchanged.wire.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert exchanged.wire.ended  # and what was sent behind is read for a while, unparsed
    assert not exchanged.state.tasks


async def test_an_application_that_wants_a_task_has_one() -> None:
    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        await send({**STARTED, "status": 204})
        await send({"type": "http.response.body"})

    exchanged = Exchanged(application, by_hand=False)
    exchanged.wire.send(GET)
    await exchanged.settle()
    assert exchanged.wire.written.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "as a task"])
async def test_what_runs_at_the_end_is_cancelled_where_it_waits(*, by_hand: bool) -> None:
    cancelled = asyncio.Event()

    async def waits(_scope: Scope, _receive: Receive, _send: Send) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    exchanged = Exchanged(waits, by_hand=by_hand)
    exchanged.wire.send(GET)
    await exchanged.settle()
    for task in [*exchanged.state.tasks]:
        task.cancel(msg="as uvicorn does")
    await exchanged.settle()
    assert cancelled.is_set()
    assert exchanged.wire.closed
    assert not exchanged.state.tasks


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "as a task"])
async def test_who_is_cancelled_while_the_client_takes_nothing_harms_nobody(*, by_hand: bool) -> None:
    async def answers(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(STARTED)

    exchanged = Exchanged(answers, by_hand=by_hand)
    exchanged.connection.pause_writing()
    exchanged.wire.send(GET)
    await exchanged.settle()
    for task in [*exchanged.state.tasks]:
        task.cancel()
    await exchanged.settle()
    exchanged.connection.resume_writing()
    assert exchanged.wire.closed


def test_the_server_serves_applications_with_a_task_unless_told_otherwise() -> None:
    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """Do nothing."""

    for by_hand, options in [(False, {}), (True, {"by_hand": True})]:
        server = HttpServer(nothing, lambda _: None, BOUNDS, drain=1, **options)
        assert getattr(server.config.http, "keywords")["by_hand"] is by_hand  # noqa: B009 - a partial
