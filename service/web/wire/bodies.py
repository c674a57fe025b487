"""Owns the bodies of requests: where one ends, and what of its bytes is the body (RFC 9112, 6 and 7)."""

import re

from service.web.wire.bounds import BODY_READ_BYTES, HEAD_BYTES

_CHUNK_BEGINS = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILERS = re.compile(rb"\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_END = b"\r\n\r\n"
_LONGEST_CHUNK_LINE = 256


class CountedBody:
    """A body whose length was said before it."""

    broken = False

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def wants(self) -> int:
        """How many bytes may be read at once, so that nothing of what follows is read."""
        return min(self._left, BODY_READ_BYTES)

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        """Return what of it is the body, and what follows the body; None: it is not complete yet."""
        body, rest = received[: self._left], received[self._left :]
        self._left -= len(body)
        return body, None if self._left else rest


class ChunkedBody:
    """A body in chunks. Extensions are ignored; trailers are dropped, so none of them can count as a header.

    `broken`: what came last is no such body.
    """

    wants = HEAD_BYTES  # so that no more of what follows is read

    def __init__(self) -> None:
        self.broken = False
        self._held = b"\r\n"  # that ends a chunk and begins the next; read, and not understood yet
        self._left = 0  # of the present chunk
        self._trailing = False

    def feed(self, received: bytes) -> tuple[bytes, bytes | None]:
        """Return what of it is the body, and what follows the body; None: it is not complete yet."""
        received, at, pieces = self._held + received, 0, []
        while not self._trailing:
            piece = received[at : at + self._left]
            pieces.append(piece)
            self._left -= len(piece)
            at += len(piece)
            line = None if self._left else _CHUNK_BEGINS.match(received, at)
            if not line or line.end() - at > _LONGEST_CHUNK_LINE:
                self._hold_line(received[at:])
                return b"".join(pieces), None
            self._left, at = int(line[1], 16), line.end()
            self._trailing = not self._left
            at -= 2 * self._trailing  # its line end is the trailers' first
        return b"".join(pieces), self._after_trailers(received[at:])

    def _hold_line(self, part: bytes) -> None:
        """Keep what may become the line before a chunk."""
        if part[:2] != b"\r\n"[: len(part)] or b"\n" in part[2:] or len(part) >= _LONGEST_CHUNK_LINE:
            self.broken = True
        self._held = part

    def _after_trailers(self, received: bytes) -> bytes | None:
        end = received.find(_END)
        size = len(received) if end < 0 else end + len(_END)
        bare = received.count(b"\n", 0, size) != received.count(b"\r\n", 0, size)
        self.broken = bare or size > HEAD_BYTES or (end >= 0 and not _TRAILERS.fullmatch(received, 0, size))
        if end < 0 or self.broken:
            self._held = received
            return None
        return received[size:]


Body = CountedBody | ChunkedBody


def body_of(length: int | None) -> Body:
    """Return the body that a head announces; None: in chunks."""
    return ChunkedBody() if length is None else CountedBody(length)
