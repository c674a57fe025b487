"""Owns one request and its answer, between a connection and the application: the messages of ASGI (HTTP, 2.3)."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Protocol, cast

from starlette.types import Message, Scope

from service.web.wire.answer import CLOSE, STATUS_LINES, WHOLE_ANSWER, AnswerHead, DefaultHead, answer_head
from service.web.wire.refusals import APPLICATION_FAILED, logger

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODY_WAITS_BYTES = 64 * 1024  # that the application did not ask for yet; beyond them no more is read


class _Done:
    """What is awaited, and done: a coroutine that never waits costs a hundredth of a request."""

    def __await__(self) -> Generator[None, None, None]:
        """Go on at once."""
        return cast("Generator[None, None, None]", iter(()))


_DONE = _Done()


class Carrier(Protocol):
    """The connection, as a cycle sees it."""

    writable: "asyncio.Future[None] | None"
    default_head: DefaultHead

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client has hung up."""

    def pause_reading(self) -> None:
        """Read no more of the body for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def cycle_moved(self) -> None:
        """Look whether the cycle is over."""


class RequestCycle:
    """One request with its body, and its one answer.

    `complete`: the body has come to its end; `broken_off`: it never will; `disconnected`: nobody is there any more;
    `started`: a part of the answer may be out; `answered`: all of it is; `over`: the application has returned.
    """

    __slots__ = (
        "_body",
        "_carrier",
        "_expects_continue",
        "_head",
        "_left",
        "_pending",
        "_waiting",
        "answered",
        "broken_off",
        "complete",
        "disconnected",
        "keep_alive",
        "over",
        "scope",
        "started",
    )

    def __init__(
        self,
        carrier: Carrier,
        scope: Scope,
        complete: bool,  # noqa: FBT001 - by position: this is the hot path
        keep_alive: bool,  # noqa: FBT001
        expects_continue: bool,  # noqa: FBT001
    ) -> None:
        self.scope = scope
        self.complete = complete
        self.keep_alive = keep_alive
        self.broken_off = self.disconnected = self.started = self.answered = self.over = False
        self._carrier = carrier
        self._expects_continue = expects_continue
        self._body: bytes | bytearray | None = b""  # that is to be given to the application; None: it has all
        self._waiting: asyncio.Future[None] | None = None
        self._head: AnswerHead | None = None
        self._pending = b""  # of the answer: a head that waits for its body
        self._left = 0  # of the answer's body, if its length was said

    def take(self, piece: bytes, *, complete: bool) -> None:
        """Take a piece of the body from the connection."""
        self.complete = complete
        if self.answered or self.over or self._body is None:
            return
        self._body = self._body or bytearray()  # none for the many that have no body
        self._body += piece
        if len(self._body) > _BODY_WAITS_BYTES:
            self._carrier.pause_reading()
        self._wake()

    def disconnect(self) -> None:
        """Take it that the client is gone."""
        self.disconnected = True
        self._wake()

    def break_off(self) -> None:
        """Take it that no more of the body comes, although its client still waits for the answer."""
        self.broken_off, self.keep_alive = True, False
        self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    async def receive(self) -> Message:
        """Give the application the next piece of the body; when it has all, wait for the end of client or answer."""
        if self._expects_continue and not (self.complete or self.started or self._ended):
            self._carrier.write(_CONTINUE)
        self._expects_continue = False
        while not self._something_came():
            self._carrier.resume_reading()
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        if self.answered or (self._ended and not self._body):
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body or b""), None if self.complete else b""
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    @property
    def _ended(self) -> bool:
        return self.disconnected or self.broken_off

    def _something_came(self) -> bool:
        return bool(self._ended or self.answered or self._body or (self.complete and self._body is not None))

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the answer, or the whole. Raises RuntimeError for what is no part of one."""
        if self._carrier.writable or self.disconnected:
            return self._send_later(message)
        self._send(message)
        return _DONE

    async def _send_later(self, message: Message) -> None:
        carrier = self._carrier
        while carrier.writable and not self.disconnected:
            await carrier.writable
        if not self.disconnected:
            self._send(message)

    def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == WHOLE_ANSWER and not self.started:
            self._send_whole(message["status"], message["head"], message["body"])
        elif kind == "http.response.start" and not self.started:
            self._start(message)
        elif kind == "http.response.body" and self._head and not self.answered:
            self._go_on(self._head, message.get("body", b""), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is not what comes next in an answer")

    def _send_whole(self, status: int, head: bytes, body: bytes) -> None:
        self.started = True
        if self._expects_continue:  # the client may send the body or not: nobody can tell what comes next
            self.keep_alive = False
        if self.scope["method"] == "HEAD":
            body = b""
        carrier = self._carrier
        end = b"\r\n" if self.keep_alive else CLOSE
        carrier.write(b"".join((STATUS_LINES[status], carrier.default_head.text, head, end, body)))
        self._answered()

    def _start(self, message: Message) -> None:
        """Make the head; it is held until the first piece of the body, and both are one write."""
        if self._expects_continue:  # the client may send the body or not: nobody can tell what comes next
            self.keep_alive = False
        scope = self.scope
        self._head = head = answer_head(
            message["status"],
            message.get("headers", ()),
            self._carrier.default_head.text,
            keep_alive=self.keep_alive,
            method=scope["method"],
            http_version=scope["http_version"],
        )
        self.started = True
        self.keep_alive = head.keep_alive
        self._pending = head.text
        self._left = head.length or 0

    def _go_on(self, head: AnswerHead, body: bytes, *, last: bool) -> None:
        if head.length is not None and not head.bodiless:
            self._left -= len(body)
            if self._left < 0 or (last and self._left):
                raise RuntimeError("the body is not as long as its Content-Length says")
        data = self._pending + head.framed(body, last=last)
        self._pending = b""
        if data:
            self._carrier.write(data)
        if last:
            self._answered()

    def _answered(self) -> None:
        self.answered = True
        if self._waiting:
            self._wake()
        if not (self.keep_alive and self.complete):  # else it is over when the application has returned
            self._carrier.cycle_moved()

    def ended(self, error: BaseException | None) -> None:
        """Take it that the application has returned, or with which error it failed."""
        self.over = True
        if not self.answered and not self.disconnected:
            self._fail(error)
        elif error and not isinstance(error, asyncio.CancelledError):
            logger.error("the application failed after its answer", exc_info=error)
        self._carrier.cycle_moved()

    def _fail(self, error: BaseException | None) -> None:
        """End a connection whose request gets no whole answer; say so, if no part of one is out."""
        if not isinstance(error, asyncio.CancelledError):  # the server ends
            logger.error("the application gave no whole answer", exc_info=error)
        self.keep_alive = False
        if self._pending or not self.started:
            self._carrier.write(APPLICATION_FAILED)
        self.answered = True
