"""Beside another parser: what h11 refuses is refused, and what both accept means the same.

Four things are ours on purpose: a target with bytes that are not ASCII is a postback that gets its outcome, line ends
before a request are left out (RFC 9112, 2.2), trailers are dropped whatever they say (RFC 9110, 6.5.1), and an absolute
target must be of the host that Host names.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice

import h11
import pytest
from starlette.types import Receive, Scope, Send

from tests.support.in_memory import Exchanged
from tests.web.body_shapes import CHUNKED, CODINGS, FOLLOWING, LENGTHS
from tests.web.shapes import FIELDS, HOSTS, LINES

pytestmark = pytest.mark.anyio

MESSAGES = 3_000
SHAPES = [shape.sent for shape in (*LINES, *HOSTS, *FIELDS, *LENGTHS, *CODINGS, *CHUNKED, *FOLLOWING)]
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"0",
    b"5",
    b"chunked",
    b"Host: a\r\n",
    b"\xe9",
    b"#",
]
PIECES += [
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"X: y\r\n",
    b"HTTP/1.1",
    b"GET / ",
]


def generated(seed: int) -> Iterator[bytes]:
    """Yield messages: the known shapes, with a few changes each."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for number in count():
        message = bytearray(SHAPES[number % len(SHAPES)][:2_000])
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(message) + 1)
            end = at + chance.choice((0, 0, 1, 2, 7))
            message[at:end] = chance.choice((b"", chance.choice(PIECES), bytes(message[at:end]) * 2))
        sent = bytes(message).lstrip(b"\r\n")
        if sent.partition(b"\n")[0].isascii():
            yield sent


def by_h11(sent: bytes) -> str | None:
    """Return what h11 understands of the first request; "refused"; None: it is not complete."""
    connection, head, body = h11.Connection(h11.SERVER), "", b""
    connection.receive_data(sent)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head = f"{event.method.decode()} {event.target.decode()} "
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return head + repr(body)
            else:
                return None
    except h11.RemoteProtocolError as error:
        trailer = head and re.search("Content-Length|Transfer-Encoding", str(error))  # it judges them, we drop them
        return None if trailer else "refused"


async def by_us(sent: bytes) -> str | None:
    """Return the same of ours."""
    understood: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body, message = b"", await receive()
        while message["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                query = b"?" + scope["query_string"] if scope["query_string"] else b""
                understood.append(f"{scope['method']} {(scope['raw_path'] + query).decode()} {body!r}")
                break
            message = await receive()
        await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body"})

    exchanged = Exchanged(application)
    exchanged.wire.send(sent)
    await exchanged.settle()
    return understood[0] if understood else "refused" if exchanged.unparsed else None


def in_one_form(understood: str) -> str:
    """Return what was understood with a target as ours has it: without the host before it, or an empty query."""
    method, target, body = understood.split(" ", 2)
    target = _ORIGIN.sub("", target).removesuffix("?")
    return f"{method} {target if target[:1] in {'/', '*'} else f'/{target}'} {body}"


_ORIGIN = re.compile(r"^[Hh][Tt]{2}[Pp][Ss]?://[^/?]*")


async def test_what_h11_refuses_is_refused_and_what_both_accept_means_the_same(
    figures: Callable[[str], None], form: str
) -> None:
    messages = MESSAGES * (34 if form == "long" else 1)
    came: Counter[str] = Counter()
    for sent in islice(generated(seed=15), messages):
        theirs, ours = by_h11(sent), await by_us(sent)
        kind = "both refuse" if theirs == ours == "refused" else "only we refuse" if ours == "refused" else "same"
        came[kind] += 1
        if theirs == "refused":
            assert ours == "refused", sent
        elif theirs and ours and ours != "refused":
            assert in_one_form(ours) == in_one_form(theirs), sent
    figures(f"{messages} messages: {dict(came)}")
    assert min(came["both refuse"], came["same"]) > messages / 10
