"""Owns the shapes of messages that HTTP/1.1 knows or refuses, each with its section and what must come of it: heads.

Sections are those of RFC 9112, unless another RFC is named. A shape is what is sent; what comes of it is one line for
each answer: the request as it was understood, or the status of the refusal with which the connection ends.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """A message, or a few on one connection."""

    section: str
    sent: bytes
    came: tuple[str, ...]


REFUSED = ("400",)
OK = b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"


def line(section: str, request_line: bytes, *came: str, host: bytes = b"a") -> Shape:
    """Return a shape of a request line."""
    return Shape(section, request_line + b"\r\nHost: " + host + b"\r\n\r\n", came or REFUSED)


def field(section: str, fields: bytes, *came: str) -> Shape:
    """Return a shape of header lines, beside a Host that is as it should be."""
    return Shape(section, b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n", came or REFUSED)


def hosts(section: str, fields: bytes, *came: str, version: bytes = b"1.1") -> Shape:
    """Return a shape of the Host field, or of none."""
    return Shape(section, b"GET / HTTP/" + version + b"\r\n" + fields + b"\r\n", came or REFUSED)


LINES = [
    line("3", b"GET / HTTP/1.1", "GET /"),
    line("3", b"GET /a?b=c HTTP/1.1", "GET /a?b=c"),
    line("3", b"GET  / HTTP/1.1"),
    line("3", b"GET /  HTTP/1.1"),
    line("3", b" GET / HTTP/1.1"),
    line("3", b"GET / HTTP/1.1 "),
    line("3", b"GET\t/ HTTP/1.1"),
    line("3", b"GET /\tHTTP/1.1"),
    line("3", b"GET\x0b/ HTTP/1.1"),
    line("3", b"GET / a HTTP/1.1"),
    line("3", b"GET /\r HTTP/1.1"),
    line("3", b"GET /\x00 HTTP/1.1"),
    line("3", b"GET /\x01 HTTP/1.1"),
    line("3", b"GET /\x7f HTTP/1.1"),
    line("3", b"GET HTTP/1.1"),
    line("3", b"GET"),
    line("3", b"/ HTTP/1.1"),
    line("3", b"GET /"),
    line("2.2", b"\r\nGET / HTTP/1.1", "GET /"),
    line("2.2", b"\r\n\r\n\r\nGET / HTTP/1.1", "GET /"),
    line("2.2", b"\nGET / HTTP/1.1"),
    line("2.2", b"GET / HTTP/1.1\nX: y"),
    line("2.2", b"GET / HTTP/1.1\rX: y"),
    line("2.2", b"GET / HTTP/1.1\r\n X: y"),
    line("2.2", b"GET / HTTP/1.1\r\n\tX: y"),
    line("2.3", b"GET / HTTP/1.0", "GET /"),
    line("2.3", b"GET / HTTP/0.9"),
    line("2.3", b"GET / HTTP/1.2"),
    line("2.3", b"GET / HTTP/2.0"),
    line("2.3", b"GET / HTTP/1"),
    line("2.3", b"GET / HTTP/1."),
    line("2.3", b"GET / HTTP/11"),
    line("2.3", b"GET / HTTP/1.10"),
    line("2.3", b"GET / HTTP/01.1"),
    line("2.3", b"GET / HTTP/1,1"),
    line("2.3", b"GET / HTTP/1 .1"),
    line("2.3", b"GET / http/1.1"),
    line("2.3", b"GET / HTTPS/1.1"),
    line("2.3", b"GET / RTSP/1.0"),
    line("2.3", b"SOURCE / ICE/1.0"),
    line("3.1", b"get / HTTP/1.1"),
    line("3.1", b"NOTHING / HTTP/1.1"),
    line("3.1", b"GE-T / HTTP/1.1"),
    line("3.1", b"G\xc9T / HTTP/1.1"),
    line("3.1", b"PATCH / HTTP/1.1", "PATCH /"),
    line("3.1", b"M-SEARCH / HTTP/1.1", "M-SEARCH /"),
    line("3.2.1", b"GET //a//b HTTP/1.1", "GET //a//b"),
    line("3.2.1", b"GET /%61 HTTP/1.1", "GET /a"),
    line("3.2.1", b"GET /a?b?c HTTP/1.1", "GET /a?b?c"),
    line("3.2.1", b"GET /? HTTP/1.1", "GET /"),
    line("3.2.1", b"GET /a?b#c HTTP/1.1", "GET /a?b#c"),
    line("3.2.1", b"GET /../a HTTP/1.1", "GET /../a"),
    line("3.2.1", b'GET /a?{click}|"<>\\^`[] HTTP/1.1', 'GET /a?{click}|"<>\\^`[]'),
    line("3.2.1", b"GET /a?c=\xe9\xff HTTP/1.1", "GET /a?c=%E9%FF"),
    line("3.2.1", b"GET a HTTP/1.1"),
    line("3.2.1", b"GET ?a HTTP/1.1"),
    line("3.2.1", b"GET #a HTTP/1.1"),
    line("3.2.1", b"GET \xe9 HTTP/1.1"),
    line("3.2.2", b"GET http://a/b?c HTTP/1.1", "GET /b?c"),
    line("3.2.2", b"GET HTTP://A/b HTTP/1.1", "GET /b"),
    line("3.2.2", b"GET https://a HTTP/1.1", "GET /"),
    line("3.2.2", b"GET http://a?c=1 HTTP/1.1", "GET /?c=1"),
    line("3.2.2", b"GET http://a:80/ HTTP/1.1", "GET /", host=b"a:80"),
    line("3.2.2", b"GET http://b/ HTTP/1.1"),
    line("3.2.2", b"GET http://a@b/ HTTP/1.1"),
    line("3.2.2", b"GET http:///b HTTP/1.1"),
    line("3.2.2", b"GET http:/b HTTP/1.1"),
    line("3.2.2", b"GET ftp://a/ HTTP/1.1"),
    line("3.2.3", b"CONNECT a:80 HTTP/1.1"),
    line("3.2.3", b"GET a:80 HTTP/1.1"),
    line("3.2.3", b"CONNECT / HTTP/1.1"),
    line("3.2.4", b"OPTIONS * HTTP/1.1", "OPTIONS *"),
    line("3.2.4", b"GET * HTTP/1.1"),
    Shape("RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", REFUSED),
    Shape("3", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", REFUSED),
    Shape("3", b"\x80\x2e\x01\x03\x01", REFUSED),
    Shape("3", b"SSH-2.0-OpenSSH_9.2\r\n", REFUSED),
    Shape("3", b"{}\n", REFUSED),
    Shape("3", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", REFUSED),
]

HOSTS = [
    hosts("3.2", b""),
    hosts("3.2", b"X: y\r\n"),
    hosts("3.2", b"Host: a\r\nHost: a\r\n"),
    hosts("3.2", b"Host: a\r\nHOST: b\r\n"),
    hosts("3.2", b"Host: a\r\nX: y\r\nhost: a\r\n"),
    hosts("3.2", b"", "GET /", version=b"1.0"),
    hosts("3.2", b"Host: a\r\nHost: b\r\n", version=b"1.0"),
    hosts("3.2", b"Host:\r\n", "GET /"),
    hosts("3.2", b"Host: a:\r\n", "GET /"),
    hosts("3.2", b"Host: a.b-c_d:8000\r\n", "GET /"),
    hosts("3.2", b"Host: [::1]:8000\r\n", "GET /"),
    hosts("3.2", b"Host: [fe80::1%25eth0]\r\n", "GET /"),
    hosts("3.2", b"Host: \t a \t\r\n", "GET /"),
    hosts("3.2", b"Host: a b\r\n"),
    hosts("3.2", b"Host: a/b\r\n"),
    hosts("3.2", b"Host: a, b\r\n"),
    hosts("3.2", b"Host: b@a\r\n"),
    hosts("3.2", b"Host: http://a\r\n"),
    hosts("3.2", b"Host: a:b\r\n"),
    hosts("3.2", b"Host: ::1\r\n"),
    hosts("3.2", b"Host: [::1\r\n"),
    hosts("3.2", b"Host: \xe9\r\n"),
    hosts("3.2", b"Host: a?b\r\n"),
    hosts("3.2", b"Host: a#b\r\n"),
]

FIELDS = [
    field("5", b"X:y\r\n", "GET /"),
    field("5", b"X: \r\nY:\r\n", "GET /"),
    field("5", b"X:\r\nHost2: b\r\n", "GET /"),
    field("5", b"!#$%&'*+-.^_`|~09Az: y\r\n", "GET /"),
    field("5", b"X: caf\xe9 \x80\r\n", "GET /"),
    field("5", b"X: a\tb\r\n", "GET /"),
    field("5.1", b"X : y\r\n"),
    field("5.1", b"X\t: y\r\n"),
    field("5.1", b"Content-Length : 5\r\n"),
    field("5.1", b"X Y: z\r\n"),
    field("5.1", b": y\r\n"),
    field("5.1", b"X\r\n"),
    field("5.1", b"X;: y\r\n"),
    field("5.1", b"(X): y\r\n"),
    field("5.1", b"\xe9: y\r\n"),
    field("5.1", b"X\0: y\r\n"),
    field("5.2", b"X: a\r\n b\r\n"),
    field("5.2", b"X: a\r\n\tb\r\n"),
    field("5.2", b"X:\r\n b\r\n"),
    field("5.2", b"X: a\r\n \r\n"),
    field("RFC 9110 5.5", b"X: a\0b\r\n"),
    field("RFC 9110 5.5", b"X: a\x01b\r\n"),
    field("RFC 9110 5.5", b"X: a\x7fb\r\n"),
    field("RFC 9110 5.5", b"X: a\x0bb\r\n"),
    field("2.2", b"X: a\rb\r\n"),
    field("2.2", b"X: a\r\r\n"),
    field("2.2", b"X: a\nY: b\r\n"),
    field("2.2", b"X: a\n\r\n"),
    field("2.2", b"X: a\r\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n"),
    field("2.2", b"\rX: a\r\n"),
]
