"""One parser for all connections: what somebody sent changes nothing for whoever comes next."""

import random
from contextlib import suppress

import pytest
from starlette.types import Scope

from service.web.wire.head import END_OF_HEAD, HeadParser
from service.web.wire.refusals import NotHttp
from tests.web.every_shape import SHAPES
from tests.web.shapes import OK

GENERATED = 5_000
NAMES = (b"Connection", b"Proxy-Connection", b"Upgrade", b"Transfer-Encoding", b"Content-Length", b"Keep-Alive", b"TE")
WORDS = (b"close", b"keep-alive", b"upgrade", b"chunked", b"h2c", b"0", b"5", b",", b";", b" ", b"\t", b"\xe9", b"x")


def head(fields: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """Return a head with these fields."""
    return method + b" / HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n"


def after(parser: HeadParser, sent: bytes) -> tuple[str, bool]:
    """Let a parser see one head, whatever comes of it; return what it makes of a plain one then."""
    scope: Scope = {}
    with suppress(NotHttp):
        parser.parse(sent.removesuffix(END_OF_HEAD), {})
    plain = parser.parse(OK.removesuffix(END_OF_HEAD), scope)
    return scope["path"], plain.keep_alive


@pytest.mark.parametrize("value", [b"close", b"keep-alive", b"upgrade", b"x, close", b""])
@pytest.mark.parametrize("name", NAMES)
def test_no_field_of_one_head_harms_the_next(name: bytes, value: bytes) -> None:
    for more in (b"", b"Upgrade: h2c\r\n", b"Content-Length: 0\r\n"):
        assert after(HeadParser(), head(name + b": " + value + b"\r\n" + more)) == ("/ok", True)


def test_no_shape_harms_the_next() -> None:
    parser = HeadParser()
    for shape in SHAPES:
        first, end, _ = shape.sent.lstrip(b"\r\n").partition(END_OF_HEAD)
        if end:
            assert after(parser, first) == ("/ok", True), shape


def test_nothing_that_is_generated_harms_the_next(form: str) -> None:
    parser, chance = HeadParser(), random.Random(15)  # noqa: S311 - repeatable, not secret
    for _ in range(GENERATED * (10 if form == "long" else 1)):
        fields = b"".join(
            chance.choice(NAMES) + b":" + b"".join(chance.choices(WORDS, k=chance.randint(0, 5))) + b"\r\n"
            for _ in range(chance.randint(1, 3))
        )
        sent = head(fields, chance.choice((b"GET", b"POST", b"HEAD")), chance.choice((b"1.1", b"1.1", b"1.0")))
        assert after(parser, sent) == ("/ok", True), sent
