"""What is decoded costs no more than its bytes: heads of parts and nested JSON are bounded, escapes are for C."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.decoding import MAX_NESTED, decode_json, unescaped
from service.core.multipart import decode_multipart
from service.core.outcome import Outcome, Rejected

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
ESCAPES = st.integers(0, 255).flatmap(lambda code: st.sampled_from([b"%%%02x" % code, b"%%%02X" % code]))
OTHERS = st.binary(max_size=3) | st.sampled_from([b"=", b"==", b"=\n", b"=\r\n", b"=41", b" \n", b"_", b"%3D%0A", b"%"])


@given(st.lists(ESCAPES | OTHERS, max_size=12).map(b"".join).filter(lambda text: not _BAD_ESCAPE.search(text)))
@example(b"a%20b = c \r\n=0D=\n%3d=%3D41")
def test_escapes_are_decoded_as_urls_have_them(encoded: bytes) -> None:
    assert unescaped(encoded) == unquote_to_bytes(encoded)


def head_of(size: int) -> bytes:
    """Return a form of one part, whose head has so many bytes."""
    head = b'Content-Disposition: form-data; name="c"; x="'
    return b"--b\r\n" + head + b";" * (size - len(head) - 1) + b'"\r\n\r\nclick\r\n--b--'


def test_the_head_of_a_part_has_a_bounded_length_because_reading_one_takes_the_square_of_it() -> None:
    assert decode_multipart(head_of(512), "b") == [("c", "click")]
    with pytest.raises(Rejected, match="the head of part 1 has more than 512 bytes") as refused:
        decode_multipart(head_of(513), "b")
    assert refused.value.outcome is Outcome.MALFORMED_BODY


def nested(count: int) -> bytes:
    """Return JSON with so many arrays and objects in a member, the member's own among them."""
    return b'{"c":"a","x":[' + b",".join([b'{"b":"[{["}'] * (count - 1)) + b"]}"


def test_what_is_nested_is_bounded_in_number_and_brackets_in_a_text_do_not_count() -> None:
    assert len(decode_json(nested(MAX_NESTED - 1))) == 2
    with pytest.raises(Rejected, match="more than 4096 arrays and objects") as refused:
        decode_json(nested(MAX_NESTED))
    assert refused.value.outcome is Outcome.MALFORMED_BODY
