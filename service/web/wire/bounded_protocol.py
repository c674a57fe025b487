"""Owns a connection within its bounds: too long a head or body, too slow a request, an answer that is not taken.

After a refusal we answer, then read and ignore the rest for a while: closing at once, with bytes unread, would reset
the connection and lose the answer.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.web.wire.bounds import HEAD_BYTES, LINGER_SECONDS, ConnectionWatch
from service.web.wire.protocol import HttpProtocol

REFUSALS = {
    400: "This is not HTTP.",
    408: "The request did not come in time.",
    413: "The body is too long.",
    431: f"The request line and the headers are longer than {HEAD_BYTES} bytes.",
    503: "Too many connections are open.",
}

_LINGER_BYTES = 4 * 2**20  # that a refused client may still send before it reads the answer


class BoundedProtocol(HttpProtocol):
    """The protocol of one connection, under a watch."""

    _refused = False
    _room = HEAD_BYTES  # bytes that may still come: of a head, or of a body
    _ignored = 0  # bytes that came after a refusal

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        watch: ConnectionWatch,
        leaving: Callable[[], bool] = bool,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, leaving=leaving)
        self._watch = watch
        self.since = watch.now  # when the present wait began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Accept the connection, or refuse it."""
        super().connection_made(transport)
        if not self._watch.makes_room(self, self.connections):  # type: ignore[arg-type]  # all of them are ours
            self._refuse(503)
            if len(self.connections) > self._watch.bounds.connections + self._watch.bounds.spare:
                self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse the data if there is room for all of it."""
        if len(data) > self._room:
            self._received_too_much(data)
        else:
            self._room -= len(data)
            super().data_received(data)

    def _received_too_much(self, data: bytes) -> None:
        """Parse as much as there is room for, piece by piece: each piece may make room for the next."""
        if self._refused:
            self._ignored += len(data)
            if self._ignored > _LINGER_BYTES:
                self.transport.close()
        while data and not self._refused and not self.transport.is_closing():
            if self._room:
                piece, data = data[: self._room], data[self._room :]
                self._room -= len(piece)
                super().data_received(piece)
            elif self._in_body:
                self.cut(413)
            else:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Restart the clock of this connection."""
        self.since = self._watch.now
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Make room for a body."""
        self._room = self._watch.bounds.body_bytes
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Make room for another head."""
        self._room = HEAD_BYTES
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Restart the clock of this connection."""
        self.since = self._watch.now
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Restart the clock: from now on the client has to take something."""
        self.since = self._watch.now
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - we have one text of our own for all of them
        """Refuse what is not HTTP."""
        self._refuse(400)

    def shutdown(self) -> None:
        """Close a refused connection at once, any other as uvicorn does."""
        if self._refused:
            self.transport.close()
        else:
            super().shutdown()

    @property
    def awaits_client(self) -> bool:
        """Whether we wait for its client to send something."""
        cycle = self.cycle
        if self._refused:
            return False
        if not cycle or cycle.response_complete or cycle.disconnected:
            return True
        return cycle.more_body and not self.flow.read_paused

    def check_time(self) -> None:
        """Cut it if its time is over."""
        waited, seconds = self._watch.now - self.since, self._watch.bounds.seconds
        if self._refused or self.flow.write_paused or self.transport.is_closing():
            if waited >= (LINGER_SECONDS if self._refused else seconds):
                self.transport.abort()
        elif self.flow.read_paused:  # the client waits for us, not we for it
            self.since = self._watch.now
        elif waited >= seconds and self.awaits_client:
            self.cut(408)

    def cut(self, status: int) -> None:
        """Cut it; in the middle of a request, answer with this status first."""
        if self._in_body:
            if not self.cycle.response_started:
                self.transport.write(_response(status))  # its door counts it, as an incomplete body
        elif not self._between_requests:
            self._answer(status)
        self._abandon()
        self.transport.close()

    @property
    def _in_body(self) -> bool:
        """Whether the head of the present request is complete, and its body is not."""
        return not self._between_requests and bool(self.cycle) and self.cycle.scope is self.scope

    def _refuse(self, status: int) -> None:
        """Answer a request that no application will see, and ignore the rest of it."""
        self._refused = True
        self._room = 0
        self._answer(status)
        self._abandon()
        self.transport.end()

    def _answer(self, status: int) -> None:
        """Count the refusal, and send it unless another answer is half sent."""
        self._watch.count_unparsed(status)
        if status != HTTPStatus.BAD_REQUEST:  # uvicorn itself logs that
            self.logger.warning(REFUSALS[status])
        if not (self.cycle and self.cycle.response_started and not self.cycle.response_complete):
            self.transport.write(_response(status))

    def _abandon(self) -> None:
        """Let the application know that the client is gone."""
        self.since = self._watch.now
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def _response(status: int) -> bytes:
    text, phrase = REFUSALS[status], HTTPStatus(status).phrase
    retry_after = "retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return f"{head}{retry_after}connection: close\r\n\r\n{text}".encode()
