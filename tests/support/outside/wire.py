"""Owns HTTP as bytes on a socket: requests to send, answers to read, one blocking connection and one for asyncio."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

Address = tuple[str, int]


class HungUp(ConnectionError):  # noqa: N818 - what the other side did
    """The connection ended before the answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def outcome(self) -> str | None:
        """The word that says what became of the postback; None when the answer is to no postback."""
        return self.headers.get("x-postback-outcome")

    @property
    def request_id(self) -> str:
        """The service's own name for this request."""
        return self.headers["x-request-id"]


def request(
    target: str | bytes,
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> bytes:
    """Return a request's bytes; whatever stands in `target` goes out as it is."""
    path = target if isinstance(target, bytes) else target.encode()
    lines = [f"Host: {host}", *(f"{name}: {text}" for name, text in (headers or {}).items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1")
    return method.encode() + b" " + path + b" HTTP/1.1\r\n" + head + b"\r\n\r\n" + (body or b"")


def split_answer(received: bytes, *, head_only: bool = False) -> tuple[Answer, bytes] | None:
    """Return the first complete answer and what follows it; None while it is incomplete."""
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): text.strip() for name, _, text in pairs}
    status = int(status_line.split(" ")[1])
    if headers.get("transfer-encoding") == "chunked":
        whole = _split_chunks(rest)
        return whole and (Answer(status, headers, whole[0]), whole[1])
    length = 0 if head_only else int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length]), rest[length:]


def _split_chunks(received: bytes) -> tuple[bytes, bytes] | None:
    """Return a body that came in chunks and what follows it; None while it is incomplete."""
    body = b""
    while True:
        size, line, received = received.partition(b"\r\n")
        length = int(size, 16) if line else 0
        if not line or len(received) < length + 2:
            return None
        if not length:
            return body, received[2:]
        body, received = body + received[:length], received[length + 2 :]


class Wire:
    """A blocking connection; `timeout` seconds bound every wait on it. `source` is the address that it comes from."""

    def __init__(
        self, address: Address, *, timeout: float = 10, tls: ssl.SSLContext | None = None, source: str | None = None
    ) -> None:
        self.socket = socket.create_connection(address, timeout, (source, 0) if source else None)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._received = b""

    def __enter__(self) -> Self:
        """Give the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Put bytes on the wire, whatever they are."""
        self.socket.sendall(data)

    def answer(self, *, head_only: bool = False) -> Answer:
        """Read one answer. Raises HungUp, TimeoutError."""
        while (found := split_answer(self._received, head_only=head_only)) is None:
            try:
                data = self.socket.recv(65536)
            except ConnectionError as error:
                raise HungUp(str(error)) from error
            if not data:
                raise HungUp(f"after {self._received[:200]!r}")
            self._received += data
        answer, self._received = found
        return answer

    def exchange(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer(head_only=data.startswith(b"HEAD "))


def refused(address: Address) -> bool:
    """Tell whether nobody listens there."""
    try:
        Wire(address).socket.close()
    except ConnectionRefusedError:
        return True
    return False


class Line(asyncio.Protocol):
    """A keep-alive connection for asyncio, with one exchange at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._waiting: asyncio.Future[Answer] | None = None
        self._head_only = False
        self.open = False

    @classmethod
    async def connect(cls, address: Address, source: str | None = None) -> Self:
        """Return a connected line; `source` is the address that it comes from. Raises OSError."""
        from_where = (source, 0) if source else None
        _, line = await asyncio.get_running_loop().create_connection(cls, *address, local_addr=from_where)
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what bytes are written to."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Hand over the answer when it is complete."""
        self._received += data
        found = split_answer(self._received, head_only=self._head_only)
        if found and self._waiting and not self._waiting.done():
            answer, self._received = found
            self._waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits that no answer will come."""
        self.open = False
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(HungUp(str(error)))

    async def exchange(self, data: bytes) -> Answer:
        """Send a request and wait for its answer. Raises HungUp."""
        if not self.open:
            raise HungUp("before the request was sent")
        self._waiting = asyncio.get_running_loop().create_future()
        self._head_only = data.startswith(b"HEAD ")
        self._transport.write(data)
        return await self._waiting

    @property
    def unasked(self) -> bytes:
        """What came and belongs to no answer that was waited for."""
        return self._received

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
