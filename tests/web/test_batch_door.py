"""A signed batch with a key takes its sender's room, one address crowds out no other, and no bytes are left behind."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import pytest
from starlette.types import Message, Scope

from service.auth.authenticator import Authenticator
from service.auth.signature import Secret, sign_webhook
from service.core.batch import MAX_BYTES
from service.core.bodies import NDJSON
from service.core.presets import EZMOB
from service.core.roster import KnownSender
from service.storage.sqlite.ledger import SqliteLedger
from service.web.public.batches import BatchDoor, IncomingBatch
from tests.support.engines import path, sqlite_ledger
from tests.support.fakes import in_time, samples
from tests.support.raw_http import until
from tests.support.registered import KEY, SENDER, roster
from tests.support.served import broken_off, http_scope, pieces
from tests.support.watched_intake import Watched, watching

__all__ = ["path", "sqlite_ledger"]

pytestmark = pytest.mark.anyio

SECRET, OTHER = Secret(b"s" * 32), Secret(b"o" * 32)
SIGNS = replace(SENDER, signing_secrets=(SECRET.written(),), signs=True)
LENIENT = replace(SIGNS, report_only=frozenset({"signature"}))
KEYED = (b"x-api-key", KEY.encode())
ROW = b'{"cid":"a","payout":1}\n'
LARGE = ROW + b" " * (MAX_BYTES - len(ROW))
PIECES = [LARGE[first : first + 2**18] for first in range(0, MAX_BYTES, 2**18)]
LEFT_BYTES = 2**19

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass
class Door:
    """The door, and what is recorded behind it."""

    door: BatchDoor
    watched: Watched

    async def post(self, messages: Iterable[Message], headers: Headers, client: str = "192.0.2.1") -> bytes:
        """Send a batch; return the beginning of its answer. After the last message its sender is silent."""
        rest, sent = iter(messages), list[Message]()

        async def receive() -> Message:
            await asyncio.sleep(0)
            for message in rest:
                return message
            silent: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            return await silent

        async def send(message: Message) -> None:
            sent.append(message)

        content = [(b"host", b"a"), (b"content-type", NDJSON.encode())]
        request = {"path": "/postbacks", "request_id": "0" * 32, "trace_id": "0" * 32, "client": (client, 1)}
        scope: Scope = {**http_scope([*content, *headers]), **request}
        await self.door.post(scope, receive, send)
        first = sent[0]
        return b"%d %b" % (first["status"], first.get("head") or b"%r" % first["headers"])

    def begin(self, headers: Headers, client: str) -> "asyncio.Task[bytes]":
        """Begin a batch whose last piece does not come."""
        return asyncio.create_task(self.post(pieces_before_last(), headers, client))


def pieces_before_last() -> Iterable[Message]:
    """Return all but the last piece of a body."""
    return islice(pieces(*PIECES), len(PIECES) - 1)


def signed(secret: Secret = SECRET, body: bytes = LARGE) -> Headers:
    """Return the headers that sign a body now."""
    made = sign_webhook("m-1", body, secret, time.time())
    return tuple((name.encode(), text.encode()) for name, text in made.items())


@pytest.fixture
async def door(request: pytest.FixtureRequest, sqlite_ledger: SqliteLedger) -> AsyncIterator[Door]:
    """Open the door for one sender, who must sign."""
    sender: KnownSender = getattr(request, "param", SIGNS)
    authenticator = Authenticator("required", "0.0.0.0", EZMOB)
    authenticator.follow(roster(sender))
    async with watching(sqlite_ledger, authenticator) as watched:
        yield Door(BatchDoor(watched.intake), watched)


async def refused(door: Door) -> bytes:
    return await door.post(pieces(*PIECES), signed(OTHER))


async def refused_with_a_key(door: Door) -> bytes:
    return await door.post(pieces(*PIECES), (KEYED, *signed(OTHER)))


async def accepted(door: Door) -> bytes:
    return await door.post(pieces(*PIECES), signed())


async def hung_up(door: Door) -> bytes:
    return await door.post(broken_off(*PIECES[:-1]), signed())


async def cancelled(*tasks: "asyncio.Task[bytes]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def pushed_out(door: Door) -> bytes:
    first = door.begin(signed(), "192.0.2.1")
    others = [door.begin(signed(OTHER), "192.0.2.1") for _ in range(2)]
    answer = await in_time(first)
    await cancelled(*others)
    return answer


async def cut_off(door: Door) -> bytes:
    task = door.begin(signed(), "192.0.2.1")
    for _ in range(200):
        await asyncio.sleep(0)
    await cancelled(task)
    return b"none"


@pytest.mark.parametrize("door", [SIGNS, LENIENT], ids=["must sign", "report-only"], indirect=True)
@pytest.mark.parametrize(
    ("send", "status"),
    [
        (refused, b"401"),
        (refused_with_a_key, b""),
        (accepted, b"200"),
        (hung_up, b"401"),
        (pushed_out, b"429"),
        (cut_off, b"none"),
    ],
)
async def test_a_body_is_freed_when_its_room_is_given_back_and_not_by_the_garbage_collector(
    door: Door, send: Callable[[Door], Awaitable[bytes]], status: bytes
) -> None:
    await send(door)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            answer = await send(door)
            assert answer.startswith(status)
        await until(lambda: tracemalloc.get_traced_memory()[0] - before < LEFT_BYTES)  # a thread lets go in its turn
        assert [it for it in gc.get_objects() if isinstance(it, IncomingBatch)] == []
    finally:
        tracemalloc.stop()
        gc.enable()


async def test_who_shows_a_key_and_signs_too_is_not_in_the_room_of_strangers(door: Door) -> None:
    mine = door.begin((KEYED, *signed()), "192.0.2.1")
    strangers = [door.begin(signed(OTHER), "192.0.2.1") for _ in range(4)]
    await in_time(asyncio.gather(*strangers[:2]))
    assert not mine.done()
    assert b"stored=1" in await door.post(pieces(*PIECES), (KEYED, *signed()))
    await cancelled(mine, *strangers[2:])


async def test_a_bad_signature_with_a_good_key_takes_the_senders_own_room(door: Door) -> None:
    mine = [door.begin((KEYED, *signed(OTHER)), "192.0.2.1") for _ in range(3)]
    done, _ = await in_time(asyncio.wait(mine, return_when=asyncio.FIRST_COMPLETED))
    assert [task.result()[:3] for task in done] == [b"503"]
    await cancelled(*mine)


async def test_strangers_of_one_address_push_out_only_each_other(door: Door) -> None:
    slow = door.begin(signed(), "198.51.100.7")
    strangers = [door.begin(signed(OTHER), "192.0.2.1") for _ in range(5)]
    answers = await in_time(asyncio.gather(*strangers[:4]))
    assert [answer[:3] for answer in answers] == [b"429"] * 4
    assert not slow.done()
    await cancelled(slow, strangers[4])


async def test_who_is_pushed_out_before_he_is_known_sends_too_much_and_we_are_not_to_blame(door: Door) -> None:
    answer = await pushed_out(door)
    assert answer.startswith(b"429")
    assert b"x-postback-outcome: rate_limited\r\nretry-after: 1" in answer
    assert ("batch", "overloaded") not in door.watched.counted
    assert door.watched.counted["batch", "rate_limited"] == 1
    (line,) = (line for line in door.watched.lines.events() if line["outcome"] == "rate_limited")
    assert (line["level"], line["sender"]) == ("warning", "unknown")


@pytest.mark.parametrize("door", [SENDER], indirect=True)
async def test_a_batch_that_finds_no_room_is_its_senders_in_log_and_counts(door: Door) -> None:
    key = (KEYED,)
    full = [door.begin(key, f"192.0.2.{number}") for number in range(2)]
    for _ in range(400):
        await asyncio.sleep(0)
    rooms = door.door.watched_rooms()
    assert rooms["known"].taken() > 0
    answer = await door.post(pieces(*PIECES), key)
    await cancelled(*full)
    assert answer[:3] == b"503"
    assert all(room.taken() == 0 for room in rooms.values())
    assert door.watched.counted == {("batch", "overloaded"): 1.0}
    assert samples(door.watched.metrics, "postback_sender_received_total") == {("acme", "failed"): 1.0}
    assert door.watched.only_line()["sender"] == "acme"
