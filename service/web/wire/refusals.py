"""Owns the answers that a connection gives by itself, to what no application will see or answer."""

import logging
from http import HTTPStatus

from service.web.wire.bounds import HEAD_BYTES

logger = logging.getLogger("service.web.wire")

REFUSALS = {
    400: "This is not HTTP.",
    408: "The request did not come in time.",
    413: "The body is too long.",
    431: f"The request line and the headers are longer than {HEAD_BYTES} bytes.",
    503: "Too many connections are open.",
}


class NotHttp(Exception):  # noqa: N818 - what is known of it
    """The bytes are not a request as RFC 9112 has it; the message says why not."""


def refusal(status: int) -> bytes:
    """Return the whole answer with which a request is refused and its connection ends."""
    return _plain(status, REFUSALS[status], "retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else "")


def _plain(status: int, text: str, more: str = "") -> bytes:
    phrase = HTTPStatus(status).phrase
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return f"{head}{more}connection: close\r\n\r\n{text}".encode()


APPLICATION_FAILED = _plain(500, "Internal Server Error")
