"""Owns the head of a request: what its bytes mean, and everything for which RFC 9112 has it refused.

llhttp sees whole heads and nothing else, so the same bytes mean the same however they were cut on their way. It keeps
nothing of one head for the next: one parser serves all connections.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from service.web.wire.refusals import NotHttp

Headers = list[tuple[bytes, bytes]]

_REQUEST_LINE = re.compile(rb"[A-Z-]+ [!-~]+ HTTP/1\.[01]\r\n")
_VERSIONS = {"HTTP/1.1": ("1.1", True), "HTTP/1.0": ("1.0", False)}
_METHOD = re.compile("[A-Z-]+")
_METHODS = frozenset({"GET", "POST", "HEAD"})  # as most are
_METHOD_BEGINS = re.compile(rb"[A-Z-]{1,20}(?: |\Z)")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(?![^/?#])(/[^?]*)?", re.IGNORECASE)
_HOST = re.compile(  # RFC 3986, 3.2.2; RFC 9110, 4.2.1: empty only where no authority is
    rb"(?:(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?"
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_JUDGED = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"expect"})
END_OF_HEAD = b"\r\n\r\n"


class Framing(NamedTuple):
    """What a head says of the body and the connection. `length` is that of the body in bytes, None: it is chunked."""

    length: int | None
    keep_alive: bool
    expects_continue: bool


_PLAIN = Framing(0, keep_alive=True, expects_continue=False)  # of HTTP/1.1 with Host alone


def check_beginning(received: bytes, looked_at: int) -> None:
    """Raise NotHttp as soon as a head can be seen to be none: who speaks something else need not wait for the answer.

    `looked_at`: how many of the bytes were looked at before.
    """
    line_end = received.find(b"\n") + 1
    if received and not _METHOD_BEGINS.match(received):
        raise NotHttp("it does not begin with a method")
    if line_end and not _REQUEST_LINE.fullmatch(_as_ascii(received[:line_end])):
        raise NotHttp("no request line")
    if received.count(b"\n", looked_at) != received.count(b"\r\n", max(0, looked_at - 1)):
        raise NotHttp("a line that ends without CR")


class HeadParser:
    """Parses heads, one after the other. What llhttp saw of a refused one is thrown away with it."""

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

    def parse(self, head: bytes, scope: Scope) -> Framing:
        """Write into a scope what a whole head means, given without the empty line at its end; return its framing.

        What is not ASCII in the request line is percent-encoded: as a postback it gets its outcome and is kept. Raises
        NotHttp.
        """
        line = head.partition(b"\r\n")[0]
        if not line.isascii():
            head = _as_ascii(line) + head[len(line) :]
            line = _as_ascii(line)
        try:
            method, target, protocol = line.decode().split(" ")
            version, modern = _VERSIONS[protocol]
        except (ValueError, KeyError):
            raise NotHttp("no request line") from None
        if not target.isprintable() or (method not in _METHODS and not _METHOD.fullmatch(method)):
            raise NotHttp("no request line")
        self._feed(head + END_OF_HEAD)
        judged, framing = self._judged, _PLAIN
        host = judged.get(b"host")
        if host is None or not modern or len(judged) > 1:
            self._begin()  # llhttp waits for a body, or for nothing (it obeys Proxy-Connection): the next has a new one
            framing = _framing(judged, modern=modern)
        if host is not None and not _is_host(host):  # two of them are a list, which no host is
            raise NotHttp("a Host that is none, or more than one")
        path, _, query = _in_origin_form(method, target, host).partition("?")
        scope["http_version"] = version
        scope["method"] = method
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = path.encode()
        scope["query_string"] = query.encode()
        scope["headers"] = self._headers
        return framing

    def _feed(self, head: bytes) -> None:
        """Have llhttp read a head. Raises NotHttp."""
        self._headers: Headers = []
        self._judged: dict[bytes, bytes] = {}
        self._complete = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._begin()  # an invitation that is not accepted: the body follows as it would without (RFC 9110, 7.8)
        except httptools.HttpParserError as error:
            self._begin()
            raise NotHttp(str(error)) from None
        if not self._complete:
            self._begin()
            raise NotHttp("no head")


def _as_ascii(line: bytes) -> bytes:
    return line if line.isascii() else _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line)


@lru_cache(maxsize=64)  # a listener has few names
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def _framing(judged: dict[bytes, bytes], *, modern: bool) -> Framing:
    """Return what a head says of the body and the connection. Raises NotHttp (RFC 9112, 3.2, 6.1, 6.3 and 9.3)."""
    if modern and b"host" not in judged:
        raise NotHttp("no Host")
    length = _body_length(judged, chunks=modern)
    close = b"close" in [option.strip() for option in judged.get(b"connection", b"").lower().split(b",")]
    expects_continue = modern and length != 0 and judged.get(b"expect", b"").lower() == b"100-continue"
    return Framing(length, modern and not close, expects_continue)


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


def _in_origin_form(method: str, target: str, host: bytes | None) -> str:
    """Return the target as path and query. Raises NotHttp (RFC 9112, 3.2.1 to 3.2.4).

    A target with a host of its own must be of the host that Host names: whoever reads the other one would be deceived.
    """
    if method == "CONNECT":
        raise NotHttp("a tunnel is asked for")
    if target[:1] == "/":
        return target
    if target == "*" and method == "OPTIONS":
        return target
    absolute = _ABSOLUTE.match(target)
    if not absolute:
        raise NotHttp("a target that no request to an origin has")
    if host is not None and absolute[1].lower().encode() != host.lower():
        raise NotHttp("a target on another host than Host names")
    return (absolute[2] or "/") + target[absolute.end() :]
