"""Owns the door for many postbacks in one request: who may send is judged before the body is read."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from starlette.types import Message, Receive, Scope, Send

from service.auth.credentials import Credentials
from service.auth.limits import bucket_of
from service.core import batch
from service.core.bodies import JSON, content_type_of
from service.core.outcome import Outcome, Rejected
from service.core.postback import MAX_KEPT_BYTES, RawPostback
from service.core.unavailable import Overloaded
from service.core.verdict import Verdict
from service.intake import Intake
from service.telemetry.metrics.room import Room
from service.web.public.batch_room import KnownRoom, UnprovenRoom
from service.web.public.doors import taken
from service.web.render import send_refusal, send_rows
from service.web.wire.known_clients import vouch_for_client


class BatchDoor:
    """POST of many postbacks, answered when each has its outcome: the status must not promise what is not done."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._rooms = Rooms()

    def watched_rooms(self) -> Mapping[str, Room]:
        """Return how full the rooms for bodies are, by their names."""
        known, unproven = self._rooms.known, self._rooms.unproven
        return {
            "known": Room(lambda: known.taken, known.size),
            "unproven": Room(lambda: unproven.taken, unproven.size),
        }

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the rows of the body, each as a postback of its own, or turn the batch away."""
        incoming = IncomingBatch(scope, receive, self._rooms)
        try:
            await self._receive(scope, incoming, send)
        finally:
            incoming.let_go()

    async def _receive(self, scope: Scope, incoming: "IncomingBatch", send: Send) -> None:
        head = incoming.head
        verdicts = await self._intake.receive_batch(incoming)
        if isinstance(verdicts, Verdict):
            await send_refusal(send, verdicts, head.request_id)
        else:
            await send_rows(send, _accepted_type(scope, head), head.request_id, verdicts)


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that bodies are read into."""

    known: KnownRoom = field(default_factory=KnownRoom)
    unproven: UnprovenRoom = field(default_factory=UnprovenRoom)


class IncomingBatch:
    """One batch, whose body is read once it is known who sends it, or to find that out by a signature.

    `head` is the request without its body.
    """

    def __init__(self, scope: Scope, receive: Receive, rooms: Rooms) -> None:
        self._scope = scope
        self._receive = receive
        self._rooms = rooms
        self._body = bytearray()
        self._ended = self._complete = False
        self._turned_away = False  # from the room of those that are not known yet
        self._sender: str | None = None  # whose room the body takes
        self.head, self._shown = taken(scope, b"")
        self._address = bucket_of(self.head.client_ip)

    @property
    def credentials(self) -> Credentials:
        """What the request shows of its sender. It is not kept: it refers to this batch, and bodies are large."""
        return self._shown._replace(body=self.proof) if self._shown.signed else self._shown

    async def proof(self, claimed: str | None) -> bytes | None:
        """Return the body to see who signed it; None if it broke off. `claimed` is whose good key or token was shown.

        Raises Overloaded, and `Rejected` (rate_limited) where nobody is known.
        """
        if claimed:
            self._enter(claimed)
        await self._read()
        return bytes(self._body) if self._complete else None

    async def whole(self, sender: str) -> RawPostback:
        """Return the request of a known sender with its body, or with as much of it as came. Raises Overloaded."""
        vouch_for_client(self._scope)
        self._enter(sender)
        await self._read()
        return self._with_body()

    def so_far(self) -> RawPostback:
        """Return the request with as much of its body as is here, and wait for nothing."""
        announced = not self._body and any(name == b"expect" for name, _ in self._scope["headers"])
        while not (self._ended or announced or len(self._body) > MAX_KEPT_BYTES):
            message = _at_once(self._receive)
            if message is None:
                break
            self._body += self._piece(message)
        return self._with_body()

    def let_go(self) -> None:
        """Give the room back, and the bytes."""
        self._rooms.unproven.leave(self._address, self._turn_away)
        if self._sender is not None:
            self._rooms.known.give_back(self._sender, len(self._body))
            self._sender = None
        self._body.clear()

    def _enter(self, sender: str) -> None:
        """Move into the room of a known sender. Raises Overloaded."""
        if self._sender is None:
            self._rooms.unproven.leave(self._address, self._turn_away)
            self._rooms.known.take(sender, len(self._body))
            self._sender = sender

    async def _read(self) -> None:
        """Read to the end, or one byte past the limit. Raises Overloaded, and `Rejected` where nobody is known."""
        while not self._ended:
            piece = self._piece(await self._receive())
            if not self._turned_away:
                self._take_room(len(piece))
            if not self._turned_away:
                self._body += piece
        if self._turned_away:
            why = "too many signed batches are on their way: show an API key in the head as well"
            raise Overloaded(why) if self._sender else Rejected(Outcome.RATE_LIMITED, why)

    def _piece(self, message: Message) -> bytes:
        """Return what a message brings of the body, one byte past the limit at most, and note its end."""
        piece: bytes = message.get("body", b"")[: batch.MAX_BYTES + 1 - len(self._body)]
        hung_up = message["type"] == "http.disconnect"
        full = len(self._body) + len(piece) > batch.MAX_BYTES
        self._complete = full or not (hung_up or message.get("more_body"))
        self._ended |= self._complete or hung_up
        return piece

    def _take_room(self, size: int) -> None:
        if self._sender is None:
            self._rooms.unproven.take(self._address, self._turn_away, size)
        else:
            self._rooms.known.take(self._sender, size)

    def _turn_away(self) -> None:
        self._turned_away = self._ended = True
        self._complete = False
        self._body.clear()

    def _with_body(self) -> RawPostback:
        return self.head._replace(body=bytes(self._body), complete=self._complete, received_at=datetime.now(UTC))


def _at_once(receive: Receive) -> Message | None:
    """Return the next message if it is here, without waiting for it."""
    receiving = cast("Coroutine[object, None, Message]", receive())
    try:
        receiving.send(None)
    except StopIteration as received:
        return cast("Message", received.value)
    receiving.close()
    return None


def _accepted_type(scope: Scope, raw: RawPostback) -> str:
    """Return the media type of the answer: what is accepted of those we have, else the request's own, else JSON."""
    asked = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1").lower()
    wanted = [part.partition(";")[0].strip() for part in asked.split(",")]
    own = content_type_of(raw.content_type).media_type or JSON
    return next((one for one in wanted if one in batch.MEDIA_TYPES), own)
