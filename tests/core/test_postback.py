"""What is kept of a postback: its input as it was sent, within bounds."""

from service.core.postback import MAX_KEPT_BYTES
from tests.support import builders


def test_the_kept_input_is_what_was_sent() -> None:
    assert builders.raw(b"c=a\xff&value=1").as_sent() == b"GET /postback?c=a\xff&value=1"
    sent = builders.posted(b'{"c":', query=b"x=1").as_sent()
    assert sent == b'POST /postback?x=1\r\ncontent-type: application/json\r\n\r\n{"c":'


def test_the_kept_input_is_bounded() -> None:
    assert len(builders.raw(b"x" * 10_000_000).as_sent()) == MAX_KEPT_BYTES + len("GET /postback?")
