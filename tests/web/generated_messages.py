"""Owns messages that are generated for two parsers to judge: known shapes with changes, and messages put together."""

import random
from collections.abc import Iterator
from itertools import count

from tests.web import every_shape

SHAPES = [shape.sent for shape in every_shape.SHAPES]
_LONGEST = 2_000
_PIECES = [*(bytes([it]) for it in b"\n\r \t\0:,;05\xe9#"), b"\r\n", b"chunked", b"HTTP/1.1", b"GET / ", b"0\r\n\r\n"]
_PIECES += [b"Host: a\r\n", b"X: y\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
_METHODS = b"GET POST HEAD OPTIONS PUT M-SEARCH".split()
_TARGETS = b"/ /postback?c=a&value=1 /a%2Fb?%00 //a?b?c http://a/b?c=1 HTTP://A /?x=[]{}|^ *".split()
_NAMES = b"X x-y User_Agent Connection Proxy-Connection Upgrade Expect Keep-Alive TE Trailer Content_Length".split()
_NAMES += b"Transfer_Encoding X-Forwarded-For Cookie Accept Authorization".split()
_WORDS = b"close keep-alive upgrade h2c chunked 100-continue content-length Host trailers 0 \xe9 ;q=1".split()
_WORDS += [b"", b" ", b", ", b"a\tb", b'"q"', b"GET / HTTP/1.1"]
_EXTENSIONS = [b"", b"", b"", b";a", b";a=b", b'; a="b;c"', b";"]


def generated(seed: int) -> Iterator[bytes]:
    """Yield messages, or a few on one connection. They begin with no line end, and all their lines are ASCII."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for number in count():
        whole = number % 2 and b"".join(_message(chance) for _ in range(chance.randint(1, 3)))
        message = bytearray(whole or SHAPES[number // 2 % len(SHAPES)][:_LONGEST])
        for _ in range(chance.choice((0, 0, 1, 2)) if whole else chance.randint(1, 3)):
            at = chance.randrange(len(message) + 1)
            end = at + chance.choice((0, 0, 1, 2, 7))
            message[at:end] = chance.choice((b"", chance.choice(_PIECES), bytes(message[at:end]) * 2))
        yield bytes(message).lstrip(b"\r\n")


def _message(chance: random.Random) -> bytes:
    """Return a message that is right in most things."""
    version = chance.choice((b"1.1", b"1.1", b"1.1", b"1.1", b"1.0"))
    fields = [b"Host: a"] * chance.choice((1, 1, 1, 1, 1, 1, 0, 2))
    for _ in range(chance.randint(0, 3)):
        value = b"".join(chance.choices(_WORDS, k=chance.randint(0, 3)))
        fields.append(chance.choice(_NAMES) + b":" + chance.choice((b" ", b"", b"\t ")) + value)
    framing, body = _body(chance)
    fields.extend(framing)
    chance.shuffle(fields)
    line = b" ".join((chance.choice(_METHODS), chance.choice(_TARGETS), b"HTTP/" + version))
    return b"\r\n".join((line, *fields, b"", body))


def _body(chance: random.Random) -> tuple[list[bytes], bytes]:
    """Return header lines that say where a body ends, and the body; now and then one is not as they say."""
    body = chance.choice((b"hello", b"", b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\n0\r\n\r\n"))
    kind = chance.randint(0, 9)
    length = b"Content-Length: %d" % len(body)
    if kind < 3:
        return [], b""
    if kind < 6:
        return [length], body
    if kind < 9:
        return [b"Transfer-Encoding: chunked"], _in_chunks(chance, body)
    return chance.sample([length, b"Transfer-Encoding: chunked", b"Content-Length: 0", length], k=2), body


def _in_chunks(chance: random.Random, body: bytes) -> bytes:
    said = b""
    while body:
        size = chance.randint(1, len(body))
        digits = chance.choice((b"%x", b"%X", b"0%x")) % size
        said += digits + chance.choice(_EXTENSIONS) + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return said + b"0" + chance.choice(_EXTENSIONS) + b"\r\n" + chance.choice((b"", b"", b"X: y\r\n")) + b"\r\n"
