"""Owns a server whose answers bite: their headers, and their body."""

from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from tests.cli.hostile import BITES


class _Biting(StreamRequestHandler):
    """Answers one request."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        body = BITES.encode()
        head = b"HTTP/1.1 400 No\r\nX-Postback-Outcome: a%s\r\nX-Request-Id: b%s\r\n" % (b"\x9b31m", b"\x85")
        self.wfile.write(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    """Serve hostile answers, and yield where."""
    with ThreadingTCPServer(("127.0.0.1", 0), _Biting) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
