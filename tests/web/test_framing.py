"""A verdict waits for the body that a request announces: no answer says of its framing what its row denies."""

import asyncio
from collections.abc import Sequence

import pytest

from service.core.parameters import MAX_BODY_BYTES
from tests.support.in_memory import Exchanged
from tests.support.served import Served

pytestmark = pytest.mark.anyio

CHUNKED = b"Transfer-Encoding: chunked\r\n"
BROKEN = [b"x\r\n", b"5\r\nhello\r\nx\r\n", b"5\r\nhello!", b"0\r\nX\r\n\r\n"]
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
AT_DOORS = [(b"GET", "/postback"), (b"POST", "/postback"), (b"GET", "/conversion/"), (b"GET", "/pixel.gif")]
ELSEWHERE = [(b"POST", "/pixel.gif"), (b"GET", "/postbacks"), (b"PUT", "/postback"), (b"GET", "/track")]


def head(method: bytes, path: str, fields: bytes = CHUNKED) -> bytes:
    """Return the head of a request that is a conversion by its query alone."""
    return method + f" {path}?c=a&value=1 HTTP/1.1\r\nHost: localhost\r\n".encode() + fields + b"\r\n"


async def settled(one: Exchanged) -> list[tuple[int, str | None]]:
    """Return how everything was answered, once all is done."""
    await one.settle()
    while one.state.tasks:
        await asyncio.sleep(0.002)
        await one.settle()
    return [(it.status, it.outcome) for it in one.whole_answers()]


async def sent(served: Served, *pieces: bytes) -> list[tuple[int, str | None]]:
    """Send pieces on one connection; return how they were answered."""
    one = Exchanged(served.application)
    for piece in pieces:
        one.wire.send(piece)
        await one.settle()
    return await settled(one)


def kept(served: Served) -> Sequence[tuple[object, ...]]:
    """Return what was kept; nothing was stored."""
    assert served.rows("SELECT * FROM conversion") == []
    return served.rows("SELECT outcome, click_id FROM rejected_postback")


@pytest.mark.parametrize("chunks", BROKEN)
@pytest.mark.parametrize("apart", [False, True], ids=["in one segment", "in a later one"])
@pytest.mark.parametrize(("method", "path"), AT_DOORS)
async def test_what_is_answered_400_for_its_framing_is_not_stored(
    served: Served, method: bytes, path: str, chunks: bytes, *, apart: bool
) -> None:
    pieces = [head(method, path), chunks] if apart else [head(method, path) + chunks]
    assert await sent(served, *pieces) == [(400, None)]
    assert kept(served) == [("malformed_body", "a")]
    assert served.counted("postback_conservation_drift") == {}


@pytest.mark.parametrize("apart", [False, True], ids=["in one segment", "in a later one"])
@pytest.mark.parametrize(("method", "path"), ELSEWHERE)
async def test_what_missed_its_door_is_kept_once_however_its_framing_broke(
    served: Served, method: bytes, path: str, *, apart: bool
) -> None:
    pieces = [head(method, path), BROKEN[0]] if apart else [head(method, path) + BROKEN[0]]
    assert await sent(served, *pieces) == [(400, None)]
    assert kept(served) == [("unknown_path", "a")]


@pytest.mark.parametrize(("method", "path"), [(b"HEAD", "/postback"), (b"HEAD", "/healthz"), (b"OPTIONS", "/track")])
async def test_who_only_asks_is_answered_once(served: Served, method: bytes, path: str) -> None:
    assert [status for status, _ in await sent(served, head(method, path) + BROKEN[0])] == [400]
    served.assert_untouched()


@pytest.mark.parametrize(("method", "path"), [*AT_DOORS, *ELSEWHERE])
async def test_a_body_that_does_not_end_in_time_is_answered_408_and_not_stored(
    served: Served, method: bytes, path: str
) -> None:
    one = Exchanged(served.application)
    one.wire.send(head(method, path, b"Content-Length: 9\r\n") + b"half")
    await one.settle()
    assert one.whole_answers() == []
    one.connection.cut(408)
    assert await settled(one) == [(408, None)]
    assert len(kept(served)) == 1


async def test_a_body_whose_sender_hangs_up_is_kept_as_broken_off(served: Served) -> None:
    one = Exchanged(served.application)
    one.wire.send(head(b"GET", "/postback", b"Content-Length: 9\r\n"))
    await one.settle()
    one.wire.close()
    await settled(one)
    assert kept(served) == [("malformed_body", "a")]


@pytest.mark.parametrize("path", ["/postback", "/pixel.gif"])
@pytest.mark.parametrize("framed", [b"Content-Length: 8\r\n", CHUNKED])
async def test_the_body_of_a_get_is_waited_for_and_means_nothing(served: Served, path: str, framed: bytes) -> None:
    body = b"goal=buy" if framed != CHUNKED else b"8\r\ngoal=buy\r\n0\r\n\r\n"
    assert await sent(served, head(b"GET", path, FORM + framed), body) == [(200, "stored")]
    assert served.rows("SELECT click_id, value, goal FROM conversion") == [("a", "1", "")]


async def test_a_large_body_of_a_get_is_not_waited_for_to_its_end(served: Served) -> None:
    one = Exchanged(served.application)
    one.wire.send(head(b"GET", "/postback", b"Content-Length: 900000\r\n"))
    for _ in range(3):
        one.wire.send(b"x" * MAX_BODY_BYTES)
        await one.settle()
    assert await settled(one) == [(200, "stored")]


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 0\r\n", b"Content-Length: 000\r\n"])
async def test_who_announces_no_body_is_answered_at_once(served: Served, fields: bytes) -> None:
    one = Exchanged(served.application)
    one.wire.send(head(b"GET", "/postback", fields))
    assert await settled(one) == [(200, "stored")]
