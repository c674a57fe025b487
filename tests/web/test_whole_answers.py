"""An answer in one message, an extension of ASGI: on the wire it is what two messages make, and elsewhere it is two."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.operator.browser_headers import HEADERS, BrowserHeaders
from service.telemetry.metrics import Metrics
from service.web.routing import ExactRoute, listener
from service.web.wire.answer import WHOLE_ANSWER, header_lines, headers_of
from tests.support.fakes import KeptLines, kept_log
from tests.support.in_memory import Exchanged
from tests.support.raw_http import GET

pytestmark = pytest.mark.anyio

HEADS = [(b"content-length", b"5"), (b"x-word", b"said")]
WHOLE: Message = {"type": WHOLE_ANSWER, "status": 200, "head": header_lines(HEADS), "body": b"hello"}
START: Message = {"type": "http.response.start", "status": 200, "headers": HEADS}
BODY: Message = {"type": "http.response.body", "body": b"hello"}


async def written(*messages: Message, sent: bytes = GET) -> tuple[str, bool]:
    """Return what these messages are on the wire, and whether the connection goes on."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send({**message})

    exchanged = Exchanged(application)
    exchanged.wire.send(sent)
    await exchanged.settle()
    return exchanged.wire.written.decode(), not exchanged.wire.closed


@pytest.mark.parametrize(
    "sent", [GET, GET.replace(b"GET", b"HEAD"), GET.replace(b"1.1", b"1.0"), GET[:-2] + b"Connection: close\r\n\r\n"]
)
async def test_on_the_wire_it_is_the_same_as_two_messages(sent: bytes) -> None:
    assert await written(WHOLE, sent=sent) == await written(START, BODY, sent=sent)


async def test_a_client_that_takes_nothing_is_waited_for() -> None:
    async def answers(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({**WHOLE})

    exchanged = Exchanged(answers)
    exchanged.connection.pause_writing()
    exchanged.wire.send(GET)
    await exchanged.settle()
    assert exchanged.wire.written == b""
    exchanged.connection.resume_writing()
    await exchanged.settle()
    assert exchanged.wire.written.endswith(b"hello")


@pytest.mark.parametrize(
    "messages",
    [(WHOLE, WHOLE), (WHOLE, BODY), (START, WHOLE), (START, START), (BODY,), ({"type": "http.response.trailers"},)],
    ids=lambda messages: " ".join(message["type"].rpartition(".")[2] for message in messages),
)
async def test_what_is_not_the_next_part_of_an_answer_is_an_error(messages: Sequence[Message]) -> None:
    failed = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages[:-1]:
            await send({**message})
        try:
            await send({**messages[-1]})
        except RuntimeError:
            failed.set()

    exchanged = Exchanged(application)
    exchanged.wire.send(GET)
    await exchanged.settle()
    assert failed.is_set()


async def answered(scope: Scope, *, browser: bool = False) -> list[Message]:
    """Return the messages with which the listener answers a request with this scope."""

    async def endpoint(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({**WHOLE})

    metrics, messages = Metrics(), []
    application = listener([ExactRoute("/", {"GET": endpoint})], metrics, kept_log(KeptLines(), metrics))

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        messages.append(message)

    asked = {"type": "http", "method": "GET", "path": "/", **scope}
    await (BrowserHeaders(application) if browser else application)(asked, receive, send)
    return messages


async def test_where_the_server_takes_whole_answers_it_is_passed_on_with_our_headers() -> None:
    (message,) = await answered({"extensions": {WHOLE_ANSWER: {}}})
    assert [name for name, _ in headers_of(message["head"])] == [
        *(name for name, _ in HEADS),
        b"x-request-id",
        b"cache-control",
    ]


@pytest.mark.parametrize("scope", [{}, {"extensions": {}}])
async def test_elsewhere_it_is_two_messages_with_the_same_headers(scope: Scope) -> None:
    (whole,) = await answered({"extensions": {WHOLE_ANSWER: {}}})
    start, body = await answered(scope)
    names = [name for name, _ in headers_of(whole["head"])]
    assert (start["status"], [name for name, _ in start["headers"]], body["body"]) == (200, names, b"hello")


async def test_no_answer_passes_by_the_headers_that_browsers_obey() -> None:
    start, _ = await answered({"extensions": {WHOLE_ANSWER: {}}}, browser=True)
    assert HEADERS.items() <= dict(start["headers"]).items()
