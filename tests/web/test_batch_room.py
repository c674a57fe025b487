"""Bodies of batches have so much room: a sender half of it, and who is not known yet a room apart."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest
from starlette.types import Message, Scope

from service.auth.signature import WEBHOOK_HEADERS
from service.core.outcome import Rejected
from service.core.postback import MAX_KEPT_BYTES
from service.core.unavailable import Overloaded
from service.web.public.batch_room import KnownRoom, UnprovenRoom
from service.web.public.batches import IncomingBatch, Rooms
from tests.support.served import http_scope

pytestmark = pytest.mark.anyio

ROWS = b'{"c":"a","value":1}\n'


def incoming(messages: Iterable[Message], rooms: Rooms | None = None, *headers: tuple[bytes, bytes]) -> IncomingBatch:
    """Return a batch whose sender falls silent after these messages."""
    rest = iter(messages)

    async def receive() -> Message:
        for message in rest:
            return message
        forever: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await forever

    scope: Scope = {
        **http_scope([(b"host", b"a"), *headers]),
        "path": "/postbacks",
        "request_id": "0" * 32,
        "trace_id": "0" * 32,
    }
    return IncomingBatch(scope, receive, rooms or Rooms())


def piece(body: bytes, *, more: bool = True) -> Message:
    """Return a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_sender_has_half_of_the_room_and_gets_back_what_he_gives_back() -> None:
    room = KnownRoom(100)
    room.take("acme", 50)
    with pytest.raises(Overloaded, match="of acme"):
        room.take("acme", 1)
    room.take("ezmob", 40)
    room.take("other", 10)
    with pytest.raises(Overloaded, match="too many batches wait"):
        room.take("third", 1)
    room.give_back("acme", 50)
    room.take("third", 50)


@pytest.fixture
def leaving() -> tuple[list[str], dict[str, Callable[[], None]]]:
    """Return the names of those who were turned away, and how each of three is."""
    gone: list[str] = []
    return gone, {name: partial(gone.append, name) for name in ("first", "second", "third")}


Leaving = tuple[list[str], dict[str, Callable[[], None]]]


def test_of_one_address_who_has_been_sending_for_longest_makes_room(leaving: Leaving) -> None:
    room, (gone, names) = UnprovenRoom(100), leaving
    for name, size in (("first", 60), ("second", 40), ("third", 50), ("third", 20), ("third", 31)):
        room.take("here", names[name], size)
    assert gone == ["first", "second", "third"]
    room.take("here", names["first"], 100)
    assert len(gone) == 3


def test_the_address_that_has_most_of_the_room_makes_room(leaving: Leaving) -> None:
    room, (gone, names) = UnprovenRoom(100), leaving
    room.take("slow", names["first"], 30)
    room.take("flood", names["second"], 60)
    room.take("flood", names["third"], 60)
    assert gone == ["second"]
    room.take("slow", names["first"], 50)
    assert gone == ["second", "first"]
    room.leave("flood", names["third"])
    room.take("else", names["second"], 100)
    assert len(gone) == 2


async def test_what_is_here_of_a_body_is_taken_without_waiting_for_more() -> None:
    some = incoming([piece(ROWS), piece(ROWS)]).so_far()
    assert (some.body, some.complete) == (ROWS * 2, False)
    assert incoming([]).so_far().body == b""
    everything = incoming([piece(ROWS), piece(ROWS, more=False)]).so_far()
    assert (everything.body, everything.complete) == (ROWS * 2, True)


async def test_no_more_is_taken_than_is_kept() -> None:
    much = incoming([piece(bytes(MAX_KEPT_BYTES)) for _ in range(10)]).so_far()
    assert (len(much.body), much.complete) == (2 * MAX_KEPT_BYTES, False)


async def test_a_body_that_the_client_announced_is_not_asked_for() -> None:
    announced = incoming([piece(ROWS, more=False)], None, (b"expect", b"100-continue")).so_far()
    assert (announced.body, announced.complete) == (b"", False)


async def test_a_signed_body_moves_to_its_senders_room_when_he_is_known() -> None:
    rooms = Rooms(KnownRoom(4 * len(ROWS)), UnprovenRoom(len(ROWS)))
    headers = [(name, b"x") for name in WEBHOOK_HEADERS]
    first, second, third = (incoming([piece(ROWS, more=False)], rooms, *headers) for _ in range(3))
    for batch in (first, second):
        assert batch.credentials.body
        assert await batch.credentials.body(None) == ROWS
        assert (await batch.whole("acme")).body == ROWS
    assert await third.proof(None) == ROWS
    with pytest.raises(Overloaded, match="of acme"):
        await third.whole("acme")
    for batch in (first, second, third):
        batch.let_go()
        batch.let_go()
    rooms.known.take("acme", 2 * len(ROWS))
    rooms.unproven.take("else", pytest.fail, len(ROWS))


async def test_who_was_turned_away_hears_of_it_and_keeps_no_bytes() -> None:
    rooms = Rooms(unproven=UnprovenRoom(len(ROWS)))

    def messages() -> Iterator[Message]:
        yield piece(ROWS)
        rooms.unproven.take("127.0.0.1", lambda: None, 1)
        yield piece(b"more")
        yield piece(b"rest", more=False)

    slow = incoming(messages(), rooms)
    with pytest.raises(Rejected, match="show an API key"):
        await slow.proof(None)
    assert slow.so_far().body == b""
    with pytest.raises(Overloaded):
        await slow.whole("acme")
