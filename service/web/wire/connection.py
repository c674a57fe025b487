"""Owns the requests of a connection: one at a time, each with its body, and the refusal of what is none.

What follows a request waits unparsed, within the bound of a head, and nothing more is read until it is its turn: so
what a client sends ahead costs us nothing, and is let go with the connection.
"""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.web.wire.answer import WHOLE_ANSWER, DefaultHead
from service.web.wire.bodies import Body, body_of
from service.web.wire.bounds import HEAD_BYTES, ConnectionWatch
from service.web.wire.cycle import RequestCycle
from service.web.wire.driving import Application, Running, drive_as_task, drive_by_hand
from service.web.wire.flow import BUFFER, Flow
from service.web.wire.head import END_OF_HEAD, Framing, HeadParser, check_beginning
from service.web.wire.refusals import REFUSALS, NotHttp, logger, refusal
from service.web.wire.turns import Turns

_LINGER_BYTES = 4 * 2**20  # that a refused client may still send before it reads the answer
_LINE_ENDS, _NOTHING_YET = b"\r\n", (b"", b"\r")
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
_WHOLE_HEAD = BUFFER[:HEAD_BYTES]


class HttpConnection(Flow):
    """A connection that speaks HTTP/1.1.

    uvicorn constructs it. Of uvicorn it uses what is passed to it: of the `Config` loaded_app and asgi_version, of the
    state connections and tasks. `leaving()`: each answer is the last of its connection. `by_hand`: the application
    needs no task. `since`: when the present wait began.
    """

    def __init__(  # noqa: PLR0913 - uvicorn's parameters and ours
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],  # noqa: ARG002 - nothing of a lifespan, which we do not run
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        watch: ConnectionWatch,
        parser: HeadParser,
        default_head: DefaultHead,
        turns: Turns,
        leaving: Callable[[], bool] = bool,
        by_hand: bool = False,
    ) -> None:
        super().__init__()
        self._asgi_version = config.asgi_version
        self._state = server_state
        self._watch = watch
        self.default_head = default_head
        self._parser = parser
        self._turns = turns
        self._leaving = leaving
        self._drive = drive_by_hand if by_hand else drive_as_task
        self._app = cast("Callable[..., Application]", config.loaded_app)
        self._running = cast("Running", server_state.tasks)
        self.since = watch.now
        self._unparsed = b""
        self._blank = 0  # bytes of line ends before the request
        self._looked_at = 0  # bytes of a head that is not complete
        self._cycle: RequestCycle | None = None
        self._body: Body | None = None  # until it is complete
        self._room = 0  # bytes that may still come of the body
        self._served = False  # a request before
        self._scheduled = False  # to parse what waits
        self._refused = False  # what comes is ignored
        self._ignored = 0  # bytes of it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare the scope that those of its requests are copied from."""
        super().connection_made(transport)
        self._scope: dict[str, object] = {
            "type": "http",
            "asgi": {"version": self._asgi_version, "spec_version": "2.3"},
            "http_version": "",
            "server": self.server,
            "client": self.client,
            "scheme": "https" if self.tls else "http",
            "method": "",
            "root_path": "",
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "headers": [],
            "extensions": {WHOLE_ANSWER: {}},
        }

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of everything; what refers to each other would stay until the garbage collector comes."""
        self._unparsed = b""
        self._abandon()
        self._cycle = self._body = None
        super().connection_lost(error)
        self.resume_writing()

    def get_buffer(self, _hint: int) -> memoryview:
        """Give room for as much as may be read at once: of what follows a request, never more than of a head."""
        if self._body:
            return BUFFER[: self._body.wants]
        if self._refused:
            return BUFFER
        if self._unparsed or self._blank:
            return BUFFER[: HEAD_BYTES - self._blank - len(self._unparsed)]
        return _WHOLE_HEAD

    def buffer_updated(self, count: int) -> None:
        """Take what was read."""
        received = BUFFER[:count].tobytes()
        if self._refused:
            self._ignore(count)
        elif self._cycle is None:
            self._parse(self._unparsed + received)
        elif self._body:
            self._take_body(self._cycle, self._body, received)
        else:
            self._unparsed += received
            self.pause_reading()

    def eof_received(self) -> bool:
        """Stay for who only said that he sends no more, while he gets answers; TLS has no such half."""
        self.half_closed = True
        if self._body and self._cycle and not (self._cycle.answered or self.tls):
            self._body = None
            self._cycle.break_off()
        awaits_answer = self._cycle is not None or self._scheduled
        return awaits_answer and not (self._refused or self._body or self.tls)

    def resume_reading(self) -> None:
        """Read on, unless what came waits for its turn."""
        if not (self._cycle and self._unparsed):
            super().resume_reading()

    def cycle_moved(self) -> None:
        """Begin the next request once this one is over: its answer is out, application and body at their end."""
        cycle = self._cycle
        if cycle is None or not cycle.answered or self._refused:
            return
        self.since = self._watch.now
        if not cycle.keep_alive:
            self._close_answered()
        elif cycle.over and cycle.complete:
            self._cycle = None
            if self._unparsed or self.half_closed or self.paused:
                self._schedule()
        else:
            self.resume_reading()

    def _schedule(self) -> None:
        """Go on with what waits when it is this client's turn."""
        if self._unparsed:
            self._scheduled = True
            self._turns.await_turn(self._go_on)
        elif self.half_closed:
            self.transport.close()
        else:
            self.resume_reading()

    def _go_on(self) -> None:
        self._scheduled = False
        if not self._refused and not self.transport.is_closing():
            self._parse(self._unparsed)

    def _parse(self, received: bytes) -> None:
        """Begin a request if its head is complete; its time begins with its first byte."""
        if not self._looked_at:
            if received[0] in _LINE_ENDS:
                received = self._without_empty_lines(received)
            if received not in _NOTHING_YET:
                self.since = self._watch.now
        head, end, rest = received.partition(END_OF_HEAD)
        try:
            if not end:
                self._await_rest_of_head(received)
                return
            scope = self._scope.copy()
            framing = self._parser.parse(head, scope)
        except NotHttp as error:
            self.refuse(400, str(error))
            return
        self._unparsed = rest
        self._looked_at = self._blank = 0
        self._begin(scope, framing)

    def _without_empty_lines(self, received: bytes) -> bytes:
        """Leave out empty lines before a request (RFC 9112, 2.2); half of one is no beginning of anything else."""
        blank = len(_EMPTY_LINES.match(received)[0])  # type: ignore[index]  # it matches always
        self._blank += blank
        return received[blank:]

    def _await_rest_of_head(self, received: bytes) -> None:
        self._unparsed = received
        if received not in _NOTHING_YET:
            check_beginning(received, self._looked_at)
            self._looked_at = len(received)
        if self._blank + len(received) >= HEAD_BYTES:
            self.refuse(431)
        elif self.half_closed:
            self.transport.close()
        else:
            self.resume_reading()

    def _begin(self, scope: Scope, framing: Framing) -> None:
        """Hand a request to the application, with as much of its body as has come."""
        self._served = True
        length, keep_alive, expects_continue = framing
        keep_alive = keep_alive and not self._leaving()
        cycle = self._cycle = RequestCycle(self, scope, length == 0, keep_alive, expects_continue)
        if length != 0:
            self._begin_body(cycle, body_of(length))
        if self._unparsed:
            self.pause_reading()
        self._drive(self._app(scope, cycle.receive, cycle.send), self._running, cycle.ended)

    def _begin_body(self, cycle: RequestCycle, body: Body) -> None:
        self._body, self._room, rest, self._unparsed = body, self._watch.bounds.body_bytes, self._unparsed, b""
        if rest:
            self._take_body(cycle, body, rest)

    def _take_body(self, cycle: RequestCycle, body: Body, received: bytes) -> None:
        piece, rest = body.feed(received)
        self._room -= len(received) - len(rest or b"")
        if self._room < 0:
            self.cut(413)
            return
        if rest is not None:
            self._body, self._unparsed = None, rest
            if rest:
                self.pause_reading()
        cycle.take(piece, complete=rest is not None)
        if body.broken:
            self.refuse(400, "a body in chunks that are none")
        elif rest is not None:
            self.cycle_moved()

    def _close_answered(self) -> None:
        """End the connection after its last answer: at once, or when the client has read it, if he still sends."""
        if self._body or self._unparsed:
            self._linger()
        else:
            self.transport.close()

    def refuse(self, status: int, why: str = "") -> None:
        """Answer a request that no application will see, and ignore the rest of it."""
        self._answer(status, why)
        self._abandon()
        self._linger()

    def cut(self, status: int) -> None:
        """Cut it; in the middle of a request, answer with this status first."""
        if self.writable or self.transport.is_closing():
            self.abort()  # it takes nothing, so nothing can be told
        elif self._body:
            if self._cycle and not self._cycle.started:
                self.write(refusal(status))  # its door counts it, as an incomplete body
        elif self._unparsed and not self._cycle:
            self._answer(status)
        self._abandon()
        self._refused = True
        self.transport.close()
        self._watch.linger(self)  # until its client has taken what it was sent

    def _linger(self) -> None:
        """Send no more; read and ignore what comes for a while, or a reset would take the answer with it."""
        self._refused, self._unparsed, self._body = True, b"", None
        self.since = self._watch.now
        if self.transport.is_closing():
            return
        if self.tls or self.half_closed:
            self.transport.close()
        else:
            self.transport.write_eof()
            self.resume_reading()
        self._watch.linger(self)

    def _ignore(self, count: int) -> None:
        self._ignored += count
        if self._ignored > _LINGER_BYTES:
            self.transport.close()

    def _answer(self, status: int, why: str = "") -> None:
        """Count the refusal, and send it unless another answer has begun."""
        self._watch.count_unparsed(status)
        logger.warning(REFUSALS[status] if status != HTTPStatus.BAD_REQUEST else f"{REFUSALS[status][:-1]}: {why}.")
        if not (self._cycle and self._cycle.started):
            self.write(refusal(status))

    def _abandon(self) -> None:
        """Let the application know that the client is gone."""
        self.since = self._watch.now
        if self._cycle:
            self._cycle.disconnect()
