"""Rows that are decoded in one go: what each of them is alone, or left to be decoded alone."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.core.decoding import decode_json
from service.core.parameters import decode_together
from service.core.postback import RawPostback
from tests.support import builders

PLAIN_ROW = builders.posted(b'{"c":"1"}')
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"c":',
        '"a"',
        '"},{"',
        "1.50",
        "null",
        "true",
        "{}",
        "\n",
        " ",
        r'"\u0000"',
        "\ufeff",
    ]
)
PLAIN = st.builds('{{"c":"{}","value":{}}}'.format, st.text("ab,}{ é", max_size=4), st.sampled_from(["1", "-1.50"]))
BODIES = st.lists(PLAIN | st.lists(PIECES, max_size=8).map("".join).map("{{{}}}".format), min_size=1, max_size=4)


@pytest.mark.proof
@given(BODIES)
@example(['{"c":"1"},[{}', "{}", '{}],{"c":"2"}'])  # as many objects as rows, and none of them is a row
@example(['{"c":"1"},{"c":"2"}', '{"c":"', '"}'])
@example(['{"c":"1"}', '{"c":"2"}'])
@settings(max_examples=2_000, deadline=None)
def test_bodies_that_are_decoded_together_are_what_each_of_them_is_alone(bodies: list[str]) -> None:
    raws = [builders.posted(body.encode()) for body in bodies]
    for raw, pairs in zip(raws, decode_together(raws), strict=False):
        assert pairs is None or list(pairs) == list(decode_json(raw.body))


def test_plain_rows_are_decoded_together() -> None:
    raws = [builders.posted(b'{"c":"a,","value":1.50}'), builders.posted('{"x":"é"}'.encode())]
    assert list(decode_together(raws)) == [(("c", "a,"), ("value", "1.50")), (("x", "é"),)]


@pytest.mark.parametrize(
    "raw",
    [
        builders.posted(b'{"c":"' + b"a" * 65_536 + b'"}'),
        builders.posted(b'{"c":"1"' + b',"x":"1"' * 256 + b"}"),
        builders.posted(b'{"c":"1"}', query=b"c=1"),
        builders.posted(b'{"c":"1"}', content_encoding="gzip"),
        builders.posted(b'{"c":"1"}', "text/csv"),
        builders.posted(b'{"c":"1"}', complete=False),
        builders.posted(b'{"c":"1"}', path="/" * 9000),
    ],
    ids=["too large", "too many", "with a query", "encoded", "no JSON", "incomplete", "with a long path"],
)
def test_what_only_parsing_can_judge_is_not_decoded_together(raw: RawPostback) -> None:
    for rows in ([PLAIN_ROW, raw], [raw, PLAIN_ROW]):
        assert [pairs for _, pairs in zip(rows, decode_together(rows), strict=False)] == [None, None]
