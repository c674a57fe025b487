"""Owns the bytes of an answer: its head, and how its body is framed (RFC 9112, 6)."""

from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import NamedTuple

# An extension of ASGI: one message with the status, a head of ready lines (the body's length among them) and the body.
WHOLE_ANSWER = "postback.whole_answer"

Headers = Iterable[tuple[bytes, bytes]]

STATUS_LINES = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, phrase.encode())
    for status in range(100, 600)
    for phrase in [HTTPStatus(status).phrase if status in [*HTTPStatus] else ""]
}
_BODILESS = frozenset({204, 304})
_OURS = frozenset({b"connection", b"transfer-encoding"})  # headers that this room writes
_CHUNKED = b"transfer-encoding: chunked\r\n"
CLOSE = b"connection: close\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class AnswerHead(NamedTuple):
    """A head, and what it says of the body and the connection. `length`: of the body, None: it was not said.

    `bodiless`: no body is sent, whatever the head says.
    """

    text: bytes
    length: int | None
    chunked: bool
    bodiless: bool
    keep_alive: bool

    def framed(self, body: bytes, *, last: bool) -> bytes:
        """Return the bytes that carry a piece of the body."""
        if self.bodiless:
            return b""
        if not self.chunked:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + _LAST_CHUNK if last else chunk


def header_lines(headers: Collection[tuple[bytes, bytes]]) -> bytes:
    """Return headers as lines. Raises RuntimeError for a header that would become two."""
    text = b"\r\n".join([*map(b": ".join, headers), b""])
    if not len(headers) == text.count(b"\n") == text.count(b"\r") or b"\0" in text:
        raise RuntimeError("a header with the end of a line or NUL in it")
    return text


def headers_of(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers that `header_lines` made lines of."""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n")[:-1])]


class DefaultHead:
    """The header lines that every answer of a server has."""

    text = b""

    def renew(self, headers: Collection[tuple[bytes, bytes]]) -> None:
        """Have these headers from now on."""
        self.text = header_lines(headers)


def answer_head(  # noqa: PLR0913 - what an answer's head depends on
    status: int,
    headers: Headers,
    default_head: bytes,
    *,
    keep_alive: bool,
    method: str,
    http_version: str,
) -> AnswerHead:
    """Return the head of an answer; `default_head` are the lines that every answer has.

    An answer whose length is not said is chunked, which HTTP/1.0 does not know: there the end of the connection ends
    it. Raises RuntimeError for a header that would become two.
    """
    headers, bodiless = [*headers], method == "HEAD" or status in _BODILESS
    fields = dict(headers)
    if not b"".join(fields).islower():
        headers = [(name.lower(), value) for name, value in headers]
        fields = dict(headers)
    length = int(fields[b"content-length"]) if b"content-length" in fields else None
    if not _OURS.isdisjoint(fields):
        keep_alive = keep_alive and not any(
            b"close" in value.lower() for name, value in headers if name == b"connection"
        )
        headers = [field for field in headers if field[0] not in _OURS]
    text = header_lines(headers)
    unsaid = length is None and not bodiless
    chunked = unsaid and http_version != "1.0"
    keep_alive = keep_alive and (chunked or not unsaid)
    ending = (_CHUNKED if chunked else b"") + (b"\r\n" if keep_alive else CLOSE)
    return AnswerHead(STATUS_LINES[status] + default_head + text + ending, length, chunked, bodiless, keep_alive)
