"""Owns the head of a request: what its bytes mean, and everything for which RFC 9112 has it refused.

llhttp sees whole heads and nothing else, so the same bytes mean the same however they were cut on their way. It keeps
nothing of one head for the next: one parser serves all connections.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from service.web.wire.refusals import NotHttp

Headers = list[tuple[bytes, bytes]]

_REQUEST_LINE = re.compile(rb"([A-Z-]+) ([!-~]+) HTTP/1\.([01])\r\n")
_METHOD_BEGINS = re.compile(rb"[A-Z-]{1,20}(?: |\Z)")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(?![^/?#])(/[^?]*)?", re.IGNORECASE)
_HOST = re.compile(  # RFC 3986, 3.2.2; RFC 9110, 4.2.1: empty only where no authority is
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?"
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_JUDGED = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})
END_OF_HEAD = b"\r\n\r\n"


class Head(NamedTuple):
    """A request without its body. `path` is decoded; `length` is that of the body in bytes, None: it is chunked."""

    method: str
    http_version: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    length: int | None
    keep_alive: bool
    expects_continue: bool


def check_beginning(received: bytes, looked_at: int) -> None:
    """Raise NotHttp as soon as a head can be seen to be none: who speaks something else need not wait for the answer.

    `looked_at`: how many of the bytes were looked at before.
    """
    line_end = received.find(b"\n") + 1
    if not line_end:
        if received and not _METHOD_BEGINS.match(received):
            raise NotHttp("it does not begin with a method")
    elif not _REQUEST_LINE.fullmatch(_as_ascii(received[:line_end])):
        raise NotHttp("no request line")
    elif received.count(b"\n", looked_at) != received.count(b"\r\n", max(0, looked_at - 1)):
        raise NotHttp("a line that ends without CR")


class HeadParser:
    """Parses heads, one after the other."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field from llhttp. The framing fields are put aside; one that comes again becomes a list."""
        name, value = name.lower(), value.rstrip(b" \t")
        self._headers.append((name, value))
        if name in _JUDGED:
            judged = self._judged
            judged[name] = judged[name] + b", " + value if name in judged else value

    def on_headers_complete(self) -> None:
        """Take from llhttp that this was the head."""
        self._complete = True

    def parse(self, received: bytes) -> Head:
        """Return what a whole head means. Raises NotHttp.

        What is not ASCII in the request line is percent-encoded: as a postback it gets its outcome and is kept.
        """
        head = None
        try:
            head = self._parse(received)
        finally:
            if head is None or head.length != 0 or not head.keep_alive:
                self._begin()  # it is broken, or waits for a body or for nothing: the next head finds a new one
        return head

    def _parse(self, received: bytes) -> Head:
        line_end = received.index(b"\n") + 1
        line = _as_ascii(received[:line_end])
        parts = _REQUEST_LINE.fullmatch(line)
        if not parts:
            raise NotHttp("no request line")
        self._headers: Headers = []
        self._judged: dict[bytes, bytes] = {}
        self._complete = False
        try:
            self._parser.feed_data(received if len(line) == line_end else line + received[line_end:])
        except httptools.HttpParserUpgrade:
            self._begin()  # an invitation that is not accepted: the body follows as it would without (RFC 9110, 7.8)
        except httptools.HttpParserError as error:
            raise NotHttp(str(error)) from None
        if not self._complete:
            raise NotHttp("no head")
        return self._understood(parts[1].decode(), parts[2], b"1.1" if parts[3] == b"1" else b"1.0")

    def _understood(self, method: str, target: bytes, version: bytes) -> Head:
        judged = self._judged
        modern = version == b"1.1"
        length = _body_length(judged, chunks=modern)
        path, _, query = _in_origin_form(method, target, _host(judged, required=modern)).partition(b"?")
        text = path.decode("ascii")
        close = b"connection" in judged and b"close" in [it.strip() for it in judged[b"connection"].lower().split(b",")]
        return Head(
            method,
            version.decode(),
            unquote(text) if "%" in text else text,
            path,
            query,
            self._headers,
            length,
            modern and not close,
            modern and length != 0 and judged.get(b"expect", b"").lower() == b"100-continue",
        )


def _as_ascii(line: bytes) -> bytes:
    return line if line.isascii() else _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line)


def _host(judged: dict[bytes, bytes], *, required: bool) -> bytes | None:
    """Return what Host says. Raises NotHttp (RFC 9112, 3.2)."""
    host = judged.get(b"host")
    if host is None:
        if required:
            raise NotHttp("no Host")
    elif not _HOST.fullmatch(host):  # two of them are a list, which no host is
        raise NotHttp("a Host that is none, or more than one")
    return host


def _body_length(judged: dict[bytes, bytes], *, chunks: bool) -> int | None:
    """Return how long the body is; None: it says so itself, in chunks. Raises NotHttp (RFC 9112, 6.1 and 6.3)."""
    length, coding = judged.get(b"content-length"), judged.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or not chunks or coding.lower() != b"chunked":
            raise NotHttp("a Transfer-Encoding beside a Content-Length, in HTTP/1.0, or other than chunked")
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise NotHttp("a Content-Length that is no number, or more than one")
    return int(length)


def _in_origin_form(method: str, target: bytes, host: bytes | None) -> bytes:
    """Return the target as path and query. Raises NotHttp (RFC 9112, 3.2.1 to 3.2.4).

    A target with a host of its own must be of the host that Host names: whoever reads the other one would be deceived.
    """
    if method == "CONNECT":
        raise NotHttp("a tunnel is asked for")
    if target[:1] == b"/":
        return target
    if target == b"*" and method == "OPTIONS":
        return target
    absolute = _ABSOLUTE.match(target)
    if not absolute:
        raise NotHttp("a target that no request to an origin has")
    if host is not None and absolute[1].lower() != host.lower():
        raise NotHttp("a target on another host than Host names")
    return (absolute[2] or b"/") + target[absolute.end() :]
