"""What is written to a connection: head and body in one piece, and nothing once the client has hung up."""

import asyncio

import pytest

from service.web.wire.protocol import JoinedWrites


class Wire(asyncio.Transport):
    """A transport that keeps what is written, until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it. Raises RuntimeError once it is closed, as uvloop's transport does."""
        if self.closed:
            raise RuntimeError("unable to perform operation on closed transport")
        self.written.append(bytes(data))


def test_head_and_body_leave_in_one_piece() -> None:
    wire = Wire()
    joined = JoinedWrites(wire)
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    joined.write(b"Success")
    assert wire.written == [b"HTTP/1.1 200 OK\r\n\r\nSuccess"]


@pytest.mark.parametrize("body", [b"Success", b""], ids=["whole", "head only"])
def test_what_was_made_for_a_client_that_hung_up_is_dropped(body: bytes) -> None:
    wire = Wire()
    joined = JoinedWrites(wire)
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.closed = True
    if body:
        joined.write(body)
    joined.release()
    assert wire.written == []
