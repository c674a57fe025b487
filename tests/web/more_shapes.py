"""Owns the shapes of messages on which two parsers may differ: each trick has its section (see shapes.py)."""

from tests.web.body_shapes import CHUNKS, chunked, post
from tests.web.shapes import OK, REFUSED, Shape, field, hosts, line

EXPECT = "RFC 9110 10.1.1"
UPGRADE = "RFC 9110 7.8"

LINE_TRICKS = [
    line("3", b"\xef\xbb\xbfGET / HTTP/1.1"),
    line("3", b"\0GET / HTTP/1.1"),
    line("3", b"GET /a b HTTP/1.1"),
    line("3", b"GET / HTTP/1.1\0"),
    line("3", b"GET / HTTP/1.1\t"),
    line("3", b"GET /\xa0HTTP/1.1"),
    line("3", b"GET / HTTP/1.1 HTTP/1.1"),
    line("3", b"GET /%0d%0aX:%20y HTTP/1.1", "GET /\r\nX: y"),
    line("2.2", b"\r\rGET / HTTP/1.1"),
    line("2.2", b"\r\r\nGET / HTTP/1.1"),
    line("2.2", b"\r\n\nGET / HTTP/1.1"),
    hosts("3.2", b"Host: a%zz\r\n"),
    hosts("3.2", b"Host: a%2Fb\r\n", "GET /"),
    line("2.2", b" \r\nGET / HTTP/1.1"),
    line("2.2", b"GET / HTTP/1.1\r\r"),
    line("2.3", b"GET / HTTP/3"),
    line("2.3", b"GET / HTTP/-1.1"),
    line("2.3", b"GET / HTTP/1.1.1"),
    line("2.3", b"GET / HTTP/\xb1.1"),
    line("3.1", b"A" * 30 + b" / HTTP/1.1"),
    line("3.1", b"G_T / HTTP/1.1"),
    line("3.1", b"GET\0 / HTTP/1.1"),
    line("3.1", b"TRACE / HTTP/1.1", "TRACE /"),
    line("3.1", b"DELETE / HTTP/1.1", "DELETE /"),
    line("3.2", b"GET http://[::1]:8000/b HTTP/1.1", "GET /b", host=b"[::1]:8000"),
    line("3.2.2", b"GET http://a:/ HTTP/1.1"),
    line("3.2.2", b"GET http://a/b#c HTTP/1.1", "GET /b#c"),
    line("3.2.2", b"GET http://a/http://b/ HTTP/1.1", "GET /http://b/"),
    line("3.2.2", b"GET http://a\\b/ HTTP/1.1"),
    line("3.2.2", b"GET http://a%2Fb/ HTTP/1.1"),
    line("3.2.2", b"GET http://\xe9/ HTTP/1.1"),
    line("3.2.2", b"GET http:// HTTP/1.1"),
    line("3.2.2", b"GET //a/b HTTP/1.1", "GET //a/b"),
    line("3.2.4", b"OPTIONS / HTTP/1.1", "OPTIONS /"),
    line("3.2.4", b"OPTIONS http://a HTTP/1.1", "OPTIONS /"),
    line("3.2.4", b"OPTIONS ** HTTP/1.1"),
    Shape("3.2.2", b"GET http://b/c HTTP/1.0\r\n\r\n", ("GET /c",)),
    Shape("3", OK.replace(b"\r\n", b"\n"), REFUSED),
    Shape("3", OK.replace(b"\r\n", b"\n\r"), REFUSED),
]

FIELD_TRICKS = [
    hosts("3.2", b"Host : a\r\n"),
    hosts("3.2", b"Host\t: a\r\n"),
    hosts("3.2", b" Host: a\r\n"),
    hosts("3.2", b"Host: a\r\n b\r\n"),
    hosts("3.2", b"Host: a\0\r\n"),
    hosts("3.2", b'Host: "a"\r\n'),
    hosts("3.2", b"Host: a,a\r\n", "GET /"),  # RFC 3986 has a comma in a name, and a proxy that folds two has a blank
    hosts("3.2", b"Host: [::1]a\r\n"),
    hosts("3.2", b"Host: a:80:80\r\n"),
    hosts("3.2", b"Host: a\r\nHost:\r\n"),
    hosts("3.2", b"Host:\r\nHost:\r\n"),
    hosts("3.2", b"Host_: a\r\n"),
    hosts("3.2", b"X-Host: a\r\n"),
    hosts("3.2", b"Host: a b\r\n", version=b"1.0"),
    field("5", b"".join(b"X-%d: y\r\n" % number for number in range(200)), "GET /"),
    field("5", b"X:\t \t\r\n", "GET /"),
    field("5", b"X-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 192.0.2.2\r\n", "GET /"),
    field("5.1", b"X\x0b: y\r\n"),
    field("5.1", b"\x0bX: y\r\n"),
    field("5.1", b"X\x7f: y\r\n"),
    field("5.1", b"X\r: y\r\n"),
    field("5.1", b'"X": y\r\n'),
    field("5.1", b"X=y\r\n"),
    field("5.1", b"GET /smuggled HTTP/1.1\r\n"),
    field("5.2", b" X: y\r\n"),
    field("5.2", b"\r\n X: y\r\n", "GET /", "400"),
    field("RFC 9110 5.5", b"X: \x1b[2J\r\n"),
    field("RFC 9110 5.5", b"X: a\x08b\r\n"),
    field("9.6", b"Proxy-Connection: close\r\n", "GET /"),
    field(UPGRADE, b"Upgrade: h2c\r\n", "GET /"),
    field(UPGRADE, b"Connection: Upgrade\r\n", "GET /"),
]

LENGTH_TRICKS = [
    post("6.3", b"Content_Length: 5", OK, "POST /", "GET /ok"),
    post("6.3", b"X-Content-Length: 5", OK, "POST /", "GET /ok"),
    post("6.3", b"Content-Length: 5\r\nContent_Length: 0", b"hello" + OK, "POST / hello", "GET /ok"),
    post("6.3", b"Content-Length\0: 5", b"hello"),
    post("6.3", b"Content-Length\x0b: 5", b"hello"),
    post("6.3", b"\x0bContent-Length: 5", b"hello"),
    post("6.3", b"Content-Length: 5\x0b", b"hello"),
    post("6.3", b"Content-Length: 5\0", b"hello"),
    post("6.3", b"Content-Length: 5;", b"hello"),
    post("6.3", b"Content-Length: 5e0", b"hello"),
    post("6.3", b"Content-Length: 5,", b"hello"),
    post("6.3", b"Content-Length: \xef\xbc\x95", b"hello"),
    post("6.3", b'Content-Length: "5"', b"hello"),
    post("6.3", b"Content-Length:\r\n 5", b"hello"),
    post("6.3", b"Content-Length: 5\r\n 5", b"hello"),
    post("6.3", b"Content-Length: 0\r\nContent-Length: 5", b"hello"),
    post("6.3", b"Content-Length: 5\r\nContent-Length:", b"hello"),
    post("6.3", b"Content-Length: 0000000000000000000005", b"hello"),
    post("6.3", b"Content-Length: 5\r\nX: y\r\nContent-Length: +5", b"hello"),
    post("6.3", b"Connection: Content-Length\r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post("6.3", b"Content-Length: 5", b"hello" + OK, "POST / hello", version=b"1.0"),
    *(
        Shape(
            "6",
            method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + OK,
            (f"{method.decode()} / hello", "GET /ok"),
        )
        for method in (b"GET", b"DELETE", b"OPTIONS", b"TRACE", b"PUT")
    ),
    Shape("6.3", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + OK, ("", "GET /ok")),
    Shape("6.3", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + OK, ("", "GET /ok")),
]

CODING_TRICKS = [
    post("6.1", b"Transfer_Encoding: chunked", OK, "POST /", "GET /ok"),
    post("6.1", b"TE: chunked", OK, "POST /", "GET /ok"),
    post("6.1", b"X-Transfer-Encoding: chunked", OK, "POST /", "GET /ok"),
    post("6.1", b"Content-Encoding: chunked", OK, "POST /", "GET /ok"),
    post("6.1", b"Transfer-Encoding: chunked\r\nTransfer_Encoding: identity", CHUNKS, "POST / hello"),
    post("6.1", b"Transfer-Encoding: chunked\r\nTE: trailers", CHUNKS, "POST / hello"),
    post("6.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked,", CHUNKS),
    post("6.1", b"Transfer-Encoding: ,chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: x-chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked-x", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunke", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked\0", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked\x0b", CHUNKS),
    post("6.1", b"Transfer-Encoding: \xe7hunked", CHUNKS),
    post("6.1", b"Transfer-Encoding: chunked;q=1", CHUNKS),
    post("6.1", b"Transfer-Encoding\t: chunked", CHUNKS),
    post("6.1", b"Transfer-Encoding\0: chunked", CHUNKS),
    post("6.1", b" Transfer-Encoding: chunked", CHUNKS),
    post("6.1", b"X: y\r\n Transfer-Encoding: chunked", CHUNKS),
    post("6.1", b"X: y\nTransfer-Encoding: chunked", CHUNKS),
    post("6.1", b"X: y\rTransfer-Encoding: chunked", CHUNKS),
    post("6.1", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", CHUNKS, "POST / hello"),
    post("6.3", b"Transfer-Encoding: chunked\r\nContent-Length: 5", CHUNKS, version=b"1.0"),
    post("6.3", b"Transfer-Encoding: xchunked\r\nContent-Length: 5", b"hello"),
    post("6.3", b"Transfer-Encoding:\r\nContent-Length: 5", b"hello"),
    Shape(
        "6.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + OK,
        ("GET / hello", "GET /ok"),
    ),
]

BROKEN_OFF = (b"x\r\n", b"5\r\nhello\r\nx\r\n", b"5\r\nhello!", b"0\r\nX\r\n\r\n")  # chunks that are none, in the end

CHUNK_TRICKS = [
    *(
        Shape("7.1", method + b" / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, REFUSED)
        for method in (b"GET", b"HEAD", b"PUT")
        for chunks in BROKEN_OFF
    ),
    Shape(
        "7.1", OK + OK[:-2] + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n", ("GET /ok", "400")
    ),  # what came before is answered
    chunked("7.1", b"FFFFFFFFFFFFFFFFF\r\nhello"),
    chunked("7.1", b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\r\n0\n\r\n"),
    chunked("7.1", b"5\r\nhello\r\n0\r\n\n"),
    chunked("7.1", b"5\r\nhello\r\n0\r\n\r\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\r\n-0\r\n\r\n"),
    chunked("7.1", b"5\r\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\r\nhello\n\r0\r\n\r\n"),
    chunked("7.1", b"5,5\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5_0\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\0\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1", b"1\r\nx\r\n" * 300 + b"0\r\n\r\n" + OK, "POST / " + "x" * 300, "GET /ok"),
    chunked("7.1", b"0\r\n\r\n" * 2, "POST /", "400"),
    chunked("7.1", b"5\r\nhello\r\n0\r\n\r\n" + b"\r\n" + OK, "POST / hello", "GET /ok"),
    chunked("7.1.1", b"5;\r\nhello\r\n0;\r\n\r\n", "POST / hello"),
    chunked("7.1.1", b"5;;a=;=b\r\nhello\r\n0\r\n\r\n", "POST / hello"),
    chunked("7.1.1", b"5;" + b"a" * 200 + b"\r\nhello\r\n0\r\n\r\n", "POST / hello"),
    chunked("7.1.1", b"5;" + b"a" * 600 + b"\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b'5;a="\r\nhello"\r\n0\r\n\r\n'),
    chunked("7.1.1", b'5;a="\\\r\nhello\r\n0\r\n\r\n', "POST / hello"),
    chunked("7.1.1", b"5\t;a\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5;a\n\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"5;\n1\r\nhello\r\n0\r\n\r\n"),
    chunked("7.1.1", b"0;a\n\r\nX: y\r\n\r\n"),
    chunked("7.1.2", b"0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1.2", b"0\r\nConnection: close\r\n\r\n" + OK, "POST /", "GET /ok"),
    chunked("7.1.2", b"0\r\nX: caf\xe9\r\nY:\r\n\r\n", "POST /"),
    chunked("7.1.2", b"0\r\nX\r\n\r\n"),
    chunked("7.1.2", b"0\r\n: y\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: a\rb\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: y\n\r\n"),
    chunked("7.1.2", b"0\r\nX: y\n\n"),
    chunked("7.1.2", b"0\r\n\tX: y\r\n\r\n"),
    chunked("7.1.2", b"0\r\nX: y\r\n" + OK + b"\r\n"),
]

EXPECTATIONS = [
    post(EXPECT, b"Expect: 100-continue\r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post(EXPECT, b"Expect: 100-Continue\r\nTransfer-Encoding: chunked", CHUNKS + OK, "POST / hello", "GET /ok"),
    post(EXPECT, b"Expect: 100-continue", OK, "POST /", "GET /ok"),
    post(EXPECT, b"Expect: 100-continue\r\nContent-Length: 0", OK, "POST /", "GET /ok"),
    post(EXPECT, b"Expect: 100-continue\r\nContent-Length: 5", b"hello", "POST / hello", version=b"1.0"),
    post(EXPECT, b"Expect: 100-continue, x\r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post(EXPECT, b"Expect: \r\nContent-Length: 5", b"hello" + OK, "POST / hello", "GET /ok"),
    post(EXPECT, b"Expect: 100-continue\r\nTransfer-Encoding: chunked", b"x\r\n"),
    post(EXPECT, b"Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 6", b"hello"),
    post(EXPECT, b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 5", b"hello" + OK, "POST / hello"),
]

FOLLOWED = [
    Shape(
        "9.3.2", (OK + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1") * 20, ("GET /ok", "POST / 1") * 20
    ),
    Shape("9.3.2", OK + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ("GET /ok", "400")),
    Shape("9.3.2", OK + b"\0", ("GET /ok", "400")),
    Shape("9.3.2", OK + b" " + OK, ("GET /ok", "400")),
    Shape("9.3.2", OK + b"\r\n\r\n" + OK, ("GET /ok",) * 2),
    Shape("9.3.2", OK + b"\r\n\n\r" + OK, ("GET /ok", "400")),
    Shape("9.3.2", OK[:-2] + b"Content-Length: 0\r\n\r\n" + OK, ("GET /ok",) * 2),
    *(
        Shape("9.6", OK.replace(b"Host", said + b"\r\nHost") + OK, ("GET /ok",))
        for said in (
            b"Connection: close, keep-alive",
            b"Connection: keep-alive,close",
            b"connection:CLOSE",
            b"Connection: \tclose\t",
            b"Connection: ,,close",
        )
    ),
    *(
        Shape("9.6", OK.replace(b"Host", said + b"\r\nHost") + OK, ("GET /ok",) * 2)
        for said in (
            b"Connection: closed",
            b'Connection: "close"',
            b"Connection: x;close",
            b"Connection:",
            b"Proxy-Connection: close",
            b"Keep-Alive: timeout=0, max=0",
            b"X_Connection: close",
        )
    ),
    post(
        UPGRADE,
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nTransfer-Encoding: chunked",
        CHUNKS + OK,
        "POST / hello",
        "GET /ok",
    ),
    post(UPGRADE, b"Connection: close, Upgrade\r\nUpgrade: h2c", OK, "POST /"),
    post(UPGRADE, b"Connection: Upgrade\r\nUpgrade: TLS/1.0", b"\x16\x03\x01", "POST /", "400"),
    post(UPGRADE, b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\nContent-Length: 6", b"hello!"),
    post(
        UPGRADE, b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5", b"hello", "POST / hello", version=b"1.0"
    ),
]
