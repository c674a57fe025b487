"""When places are scarce, known clients keep theirs, up to half of all; who keeps us waiting makes room."""

import pytest
from starlette.types import Receive, Scope, Send

from service.web.wire.bounds import Bounds
from service.web.wire.known_clients import vouch_for_client
from tests.support.in_memory import Exchanged
from tests.support.raw_http import GET, Client, House, house, until

pytestmark = pytest.mark.anyio

FOUR = Bounds(connections=4, spare=8, body_bytes=1_000_000, seconds=60.0)
KNOWS = GET.replace(b"quick", b"knows")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on: what happens to closed connections is its business."""
    return "asyncio", {"use_uvloop": True}


async def client(there: House, request: bytes = GET) -> Client:
    """Connect, and be served once."""
    connected = await there.connect()
    await served(connected, request)
    return connected


async def served(connected: Client, request: bytes = GET) -> None:
    """Be served."""
    connected.send(request)
    assert await connected.answer() == (200, b"OK")


def closed(client: Client) -> bool:
    """Return whether the connection has ended."""
    return client.reader.at_eof() or client.reader.exception() is not None


async def answer_head(client: Client) -> bytes:
    """Return the head of an answer."""
    return await client.reader.readuntil(b"\r\n\r\n")


async def test_a_known_client_that_rests_for_long_stays_and_strangers_make_room() -> None:
    async with house(FOUR) as there:
        known = [await client(there, KNOWS) for _ in range(2)]
        for _ in range(12):
            await client(there)
        for each in known:
            await served(each)


async def test_known_clients_beyond_their_half_make_room_for_strangers() -> None:
    async with house(FOUR) as there:
        known = [await client(there, KNOWS) for _ in range(4)]
        strangers = [await client(there) for _ in range(3)]
        await until(lambda: sum(each.reader.at_eof() for each in (*known, *strangers)) == 3)
        assert sum(each.reader.at_eof() for each in strangers) == 1
        for each in (*known, *strangers):
            if not each.reader.at_eof():
                await served(each)


async def test_a_stranger_who_takes_no_answer_makes_room() -> None:
    async with house(FOUR) as there:
        for _ in range(4):
            slow = await there.connect()
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport that reads
            slow.send(GET.replace(b"quick", b"large"))
        await until(lambda: there.waiting == 4)
        for _ in range(12):
            await client(there)


async def test_a_stranger_in_the_middle_of_a_body_makes_room() -> None:
    async with house(FOUR) as there:
        slow = [await there.connect() for _ in range(4)]
        for each in slow:
            each.send(b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await client(there)
        await until(lambda: there.bodies == [(4, False)])


async def test_a_stranger_in_the_middle_of_an_answer_makes_room_and_is_answered() -> None:
    async with house(FOUR) as there:
        busy = [await there.connect() for _ in range(4)]
        for each in busy:
            each.send(GET.replace(b"quick", b"waits"))
        await until(lambda: there.waiting == 4)
        newcomers = [await client(there, KNOWS) for _ in range(2)]
        there.go_on.set()
        last = [await each.rest() for each in busy if b"connection: close" in await answer_head(each)]
        assert last == [b"OK"] * 2
        for each in newcomers:
            await served(each)
        assert there.unparsed == {}


async def test_if_too_many_strangers_are_owed_an_answer_the_first_of_them_gets_none() -> None:
    async with house(FOUR._replace(spare=2)) as there:
        busy = [await there.connect() for _ in range(4)]
        for each in busy:
            each.send(GET.replace(b"quick", b"waits"))
        await until(lambda: there.waiting == 4)
        for _ in range(3):
            await client(there, KNOWS)
        await until(lambda: any(closed(each) for each in busy))
        untold, *told = sorted(busy, key=closed, reverse=True)
        assert await untold.rest() == b""
        there.go_on.set()
        assert [await each.answer() for each in told] == [(200, b"OK")] * 3
        assert there.unparsed == {}


async def test_who_hung_up_is_not_known_any_more() -> None:
    scopes: list[Scope] = []

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        scopes.append(scope)
        vouch_for_client(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    exchanged = Exchanged(application)
    assert await exchanged.came_of([GET]) == ["204"]
    assert exchanged.watch.knows(exchanged.connection)
    exchanged.wire.close()
    await exchanged.settle()
    vouch_for_client(scopes[0])
    assert not exchanged.watch.knows(exchanged.connection)


async def test_the_places_that_are_taken_are_counted_by_who_has_them() -> None:
    async with house(FOUR) as there:
        places = there.places
        assert (places.known(), places.strangers(), places.capacity) == (0, 0, 4)
        known = await client(there, KNOWS)
        strangers = [await client(there) for _ in range(2)]
        assert (places.known(), places.strangers()) == (1, 2)
        for each in (known, *strangers):
            each.writer.close()
        await until(lambda: (places.known(), places.strangers()) == (0, 0))
