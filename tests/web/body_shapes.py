"""Owns the shapes of messages with a body, and of what follows a message on its connection (see shapes.py)."""

from tests.web.shapes import OK, REFUSED, Shape


def post(section: str, fields: bytes, body: bytes, *came: str, version: bytes = b"1.1") -> Shape:
    """Return a shape of a POST with a body."""
    head = b"POST / HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n"
    return Shape(section, head + body, came or REFUSED)


def chunked(section: str, body: bytes, *came: str) -> Shape:
    """Return a shape of a body in chunks."""
    return post(section, b"Transfer-Encoding: chunked", body, *came)


CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"

LENGTHS = [
    post("6.3", b"Content-Length: 5", b"hello", "POST / hello"),
    post("6.3", b"Content-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post("6.3", b"Content-Length: 0", OK, "POST /", "GET /ok"),
    post("6.3", b"X: y", OK, "POST /", "GET /ok"),
    post("6.3", b"Content-Length: 005 ", b"hello", "POST / hello"),
    post(
        "6.3",
        b"Content-Length: 30",
        b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n1",
        "POST / GET /no HTTP/1.1\r\nHost: a\r\n\r\n1",
    ),
    post("6.3", b"Content-Length: 5\r\nContent-Length: 6", b"hello!"),
    post("6.3", b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
    post("6.3", b"Content-Length: 5\r\ncontent-length: 0", b"hello"),
    post("6.3", b"Content-Length: 5, 5", b"hello"),
    post("6.3", b"Content-Length: 5, 6", b"hello"),
    post("6.3", b"Content-Length: +5", b"hello"),
    post("6.3", b"Content-Length: -5", b"hello"),
    post("6.3", b"Content-Length: 0x5", b"hello"),
    post("6.3", b"Content-Length: 5.0", b"hello"),
    post("6.3", b"Content-Length: 5 5", b"hello"),
    post("6.3", b"Content-Length: 1_0", b"hello"),
    post("6.3", b"Content-Length: \xb2", b"hello"),
    post("6.3", b"Content-Length:", b"hello"),
    post("6.3", b"Content-Length: ,", b"hello"),
    post("6.3", b"Content-Length: five", b"hello"),
    post("6.3", b"Content-Length: 99999999999999999999", b"hello"),
    post("6.3", b"Content-Length: 18446744073709551621", b"hello"),
    post("6.3", b"Content-Length: 5\r\nTransfer-Encoding: chunked", CHUNKS),
    post("6.3", b"Transfer-Encoding: chunked\r\nContent-Length: 5", CHUNKS),
    post("6.3", b"Transfer-Encoding: chunked\r\nContent-Length: 0", CHUNKS),
    post("6.3", b"Transfer-Encoding: identity\r\nContent-Length: 5", b"hello"),
]

CODINGS = [
    post("6.1", b"Transfer-Encoding: chunked", CHUNKS, "POST / hello"),
    post("6.1", b"transfer-encoding: CHUNKED", CHUNKS, "POST / hello"),
    post("6.1", b"Transfer-Encoding:  chunked ", CHUNKS, "POST / hello"),
    post("6.1", b"Transfer-Encoding: chunked\t", CHUNKS),
    post("6.1", b"Transfer-Encoding: gzip", CHUNKS),
    post("6.1", b"Transfer-Encoding: identity", CHUNKS),
    post("6.1", b"Transfer-Encoding: gzip, chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked, gzip", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked, chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked, identity", CHUNKS),
    post("6.1", b"Transfer-Encoding: xchunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked;a=b", CHUNKS),
    post("6.1", b"Transfer-Encoding: \x0bchunked", CHUNKS),
    post("6.1", b'Transfer-Encoding: "chunked"', CHUNKS),
    post("6.1", b"Transfer-Encoding:", CHUNKS),
    post("6.1", b"Transfer-Encoding:\r\n chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding : chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked", CHUNKS, version=b"1.0"),
]

CHUNKED = [
    chunked("7.1", b"0\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" + OK, "POST / hello", "GET /ok"),
    chunked("7.1", b"0005\r\nhello\r\n000\r\n\r\n", "POST / hello"),
    chunked("7.1", b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "POST / 01234567890123456789"),
    chunked("7.1", b"2\r\n\r\n\r\n0\r\n\r\n", "POST / \r\n"),
    chunked("7.1", b"x\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"-5\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"+5\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"0x5\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b" 5\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5 \r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello0\r\n\r\n"),
    chunked("7.1", b"5\r\nhelloworld\r\n0\r\n\r\n"),
    chunked("7.1", b"4\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\r0\r\n\r\n"),
    chunked("7.1", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5" + b"0" * 300),
    chunked("7.1.1", b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n", "POST / hello"),
    chunked("7.1.1", b'5; a="b c"\r\nhello\r\n0\r\n\r\n', "POST / hello"),
    chunked("7.1.1", b"5 ;a\r\nhello\r\n0\r\n\r\n"),  # as h11 and llhttp, though the grammar has it
    chunked("7.1.1", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5;a\0b\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5a;\x7f\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5;" + b"a" * 300),
    chunked("7.1.2", b"0\r\nX: y\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1.2", b"0\r\nHost: b\r\nContent-Length: 9\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1.2", b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1.2", b"0\r\nX : y\r\n\r\n"),
    chunked("7.1.2", b"0\r\n X: y\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: y\r\n z\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: y\nZ: z\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: a\0b\r\n\r\n"),
    chunked("7.1.2", b"0\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: " + b"y" * 17_000),
]

FOLLOWING = [
    Shape("9.3.2", OK * 3, ("GET /ok",) * 3),
    Shape("9.3.2", OK + b"\r\n" + OK, ("GET /ok",) * 2),
    Shape("9.3.2", OK + b"nonsense", ("GET /ok", "400")),
    Shape("9.3.2", OK + b"GET / HTTP/1.1\r\n\r\n", ("GET /ok", "400")),
    Shape("9.3.2", OK + b"\x16\x03\x01", ("GET /ok", "400")),
    Shape("9.3.2", OK + b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", ("GET /ok", "GET /\ufffd")),
    Shape("9.6", OK.replace(b"Host", b"Connection: close\r\nHost") + OK, ("GET /ok",)),
    Shape("9.6", OK.replace(b"Host", b"Connection: x, Close\r\nHost") + OK, ("GET /ok",)),
    Shape("9.6", OK.replace(b"Host", b"Connection: x\r\nConnection: close\r\nHost") + OK, ("GET /ok",)),
    Shape("9.3", OK.replace(b"Host", b"Connection: keep-alive\r\nHost") + OK, ("GET /ok",) * 2),
    Shape("9.3", OK.replace(b"1.1", b"1.0") + OK, ("GET /ok",)),
    Shape("C.2.2", OK.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n") + OK, ("GET /ok",)),
    post("9.6", b"Connection: close\r\nContent-Length: 5", b"hello" + OK, "POST / hello"),
    post(
        "RFC 9110 7.8",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5",
        b"hello" + OK,
        "POST / hello",
        "GET /ok",
    ),
    post("RFC 9110 7.8", b"Connection: Upgrade\r\nUpgrade: websocket", OK, "POST /", "GET /ok"),
    post(
        "RFC 9110 7.8",
        b"Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked",
        CHUNKS + OK,
        "POST / hello",
        "GET /ok",
    ),
    post("RFC 9110 7.8", b"Upgrade: h2c\r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post("RFC 9110 10.1.1", b"Expect: x\r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
]
