"""Beside another parser: what h11 refuses is refused, and what both accept means the same.

Four things are ours on purpose: a target with bytes that are not ASCII is a postback that gets its outcome, line ends
before a request are left out (RFC 9112, 2.2), trailers are dropped whatever they say (RFC 9110, 6.5.1), and an absolute
target must be of the host that Host names.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise, zip_longest
from typing import NamedTuple

import h11
import pytest
from starlette.types import Receive, Scope, Send

from tests.support.in_memory import Exchanged
from tests.web.generated_messages import generated

pytestmark = pytest.mark.anyio

_SHORT = 3_000
_ORIGIN = re.compile(rb"[Hh][Tt]{2}[Pp][Ss]?://[^/?]*")
_FRAMING = re.compile("Content-Length|Transfer-Encoding")


class Understood(NamedTuple):
    """A request, as one of them sees it."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    keep_alive: bool


Came = list[Understood | str]  # in the end "refused", "not complete", or "ours": they differ on purpose


def by_h11(sent: bytes) -> Came:
    """Return what h11 understands of all that was sent; line ends before a request are left out for it."""
    came, rest = Came(), sent
    while rest := rest.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(rest)
        try:
            one = _next(connection)
        except h11.RemoteProtocolError as error:
            return [*came, "ours" if _is_of_trailers(connection, error) else "refused"]
        if one is None:
            break
        came.append(one)
        if not one.keep_alive:
            return came
        rest = connection.trailing_data[0]
    return [*came, "not complete"]


def _next(connection: h11.Connection) -> Understood | None:
    """Return the first request; None: it is not complete. Raises RemoteProtocolError."""
    request, body = connection.next_event(), b""
    if not isinstance(request, h11.Request):
        return None
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    if not isinstance(event, h11.EndOfMessage):
        return None
    connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
    goes_on = connection.their_state is h11.DONE
    return Understood(bytes(request.method), bytes(request.target), headers, body, goes_on)


def _is_of_trailers(connection: h11.Connection, error: h11.RemoteProtocolError) -> bool:
    """Return whether it refuses a body for what a trailer says: we drop them all."""
    return connection.our_state is h11.SEND_RESPONSE and bool(_FRAMING.search(str(error)))


async def by_us(*pieces: bytes) -> Came:
    """Return the same of ours, for what is sent in pieces."""
    requests: list[tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body, message = b"", await receive()
        while message["type"] == "http.request" and message["more_body"]:
            body += message["body"]
            message = await receive()
        if message["type"] == "http.request":
            query = b"?" + scope["query_string"] if scope["query_string"] else b""
            target = scope["raw_path"] + query
            requests.append((scope["method"].encode(), target, tuple(scope["headers"]), body + message["body"]))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    exchanged = Exchanged(application)
    for piece in pieces:
        exchanged.wire.send(piece)
        await exchanged.settle()
    answers = exchanged.whole_answers()
    ends = (
        ["refused"] if exchanged.unparsed else [] if exchanged.wire.closed or exchanged.wire.ended else ["not complete"]
    )
    pairs = zip(requests, answers, strict=False)
    return [*(Understood(*one, keep_alive="connection" not in answer.headers) for one, answer in pairs), *ends]


def in_one_form(one: Understood) -> Understood:
    """Return it as ours has it: without the host before its target, or an empty query; codings in small letters."""
    target = _ORIGIN.sub(b"", one.target, count=1) if one.target[:1] not in {b"/", b"*"} else one.target
    target = target if target[:1] in {b"/", b"*"} else b"/" + target
    return one._replace(
        target=target.removesuffix(b"?"),
        headers=tuple((name, value.lower() if name == b"transfer-encoding" else value) for name, value in one.headers),
    )


def difference(theirs: Came, ours: Came) -> str | None:
    """Return how they differ where they may not, or None."""
    for one, other in zip_longest(theirs, ours):
        if one == "ours" or other == "refused":
            return None
        if isinstance(one, Understood) and isinstance(other, Understood):
            if in_one_form(one) != in_one_form(other):
                return "not the same"
        elif one != other:
            return "one does not see what the other sees"
    return None


def has_raw_bytes(sent: bytes) -> bool:
    """Return whether what may be a request line has bytes that are not ASCII."""
    return any(not line.isascii() and b"HTTP/" in line for line in sent.split(b"\n"))


@pytest.mark.parametrize("messages", [_SHORT, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_what_h11_refuses_is_refused_and_what_both_accept_means_the_same(
    figures: Callable[[str], None], form: str, messages: int
) -> None:
    if messages > _SHORT and form != "long":
        pytest.skip("a minute: POSTBACK_SOAK=1")
    came = Counter[str]()
    for sent in islice((it for it in generated(seed=15) if not has_raw_bytes(it)), messages):
        theirs, ours = by_h11(sent), await by_us(sent)
        assert difference(theirs, ours) is None, (sent, theirs, ours)
        came["requests that both understood"] += len([it for it in ours if isinstance(it, Understood)])
        came["refused by both"] += "refused" in theirs
        came["refused only by us"] += "refused" in ours and "refused" not in theirs
    figures(f"{messages} messages: {dict(came)}")
    assert min(came["requests that both understood"], came["refused by both"]) > messages / 10


@pytest.mark.parametrize("messages", [_SHORT, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_what_is_generated_means_the_same_however_it_is_cut(form: str, messages: int) -> None:
    if messages > _SHORT and form != "long":
        pytest.skip("a minute: POSTBACK_SOAK=1")
    chance = random.Random(15)  # noqa: S311 - repeatable, not secret
    for sent in islice(generated(seed=16), messages):
        cuts = sorted(chance.randint(0, len(sent)) for _ in range(chance.randint(1, 4)))
        pieces = [sent[at:end] for at, end in pairwise((0, *cuts, len(sent))) if at < end]
        assert await by_us(*pieces) == await by_us(*[sent] if sent else []), pieces
