"""Text becomes rows one at a time: what is no row costs no memory, and what is too long for one is not taken apart."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outcome import Outcome, Rejected
from service.core.parameters import MAX_BODY_BYTES
from service.core.rows import (
    PIECE_BYTES,
    csv_records,
    csv_rows_of,
    json_rows_of,
    ndjson_rows,
    ndjson_rows_of,
    reject_undecodable,
    stream_lines,
)

BYTES, MOST = 4 * 2**20, 512 * 1024
ROW = b'{"c":"a","value":1}'


def peak_of(split: Callable[[bytes], Iterator[bytes]], body: bytes) -> int:
    """Return how much memory it takes to split a body whose rows nobody keeps."""
    tracemalloc.start()
    try:
        for _ in split(body):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("split", "begins", "blank"),
    [
        *((ndjson_rows_of, ROW, blank) for blank in (b"\n", b"  \n", b"\r\n", b" ", b"\n \t\r\v\f\n")),
        *((csv_rows_of, b"c,value\n", blank) for blank in (b"\n", b"\r\n")),
        *((json_rows_of, b"[" + ROW, blank) for blank in (b"\n", b" ", b"\t\r\n")),
    ],
)
def test_what_is_blank_takes_no_memory(split: Callable[[bytes], Iterator[bytes]], begins: bytes, blank: bytes) -> None:
    body = begins + blank * (BYTES // len(blank)) + (b"]" if split is json_rows_of else b"")
    assert peak_of(split, body) < MOST


@pytest.mark.parametrize(
    ("split", "body"),
    [
        (json_rows_of, b'["' + b"\\u00e9" * (BYTES // 6) + b'"]'),
        (json_rows_of, b'["' + "é".encode() * (BYTES // 2) + b'"]'),
        (json_rows_of, b"[[" + b"[]," * (BYTES // 3) + b"[]]]"),
        (json_rows_of, b"[[" + b"1," * (BYTES // 2) + b"1]]"),
        (json_rows_of, b"[" + b"1" * BYTES + b"]"),
        (json_rows_of, b'[{"a":' + b" " * BYTES + b"1}]"),
    ],
    ids=["escapes", "letters", "arrays", "numbers", "one number", "spaces"],
)
def test_an_element_that_is_too_long_for_a_row_refuses_the_array_before_it_is_read_as_a_whole(
    split: Callable[[bytes], Iterator[bytes]], body: bytes
) -> None:
    tracemalloc.start()
    with pytest.raises(Rejected, match="element of the array that begins at byte 1 has more than 65536") as refused:
        list(split(body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.outcome is Outcome.TOO_LARGE
    assert peak < 8 * 2**20  # of numbers each of two bytes


@pytest.mark.parametrize("cell", [b'"ab",', b'"a\nb",', b'a,"', b'"a\n",'])
def test_a_record_with_quotes_that_is_too_long_for_a_row_refuses_the_batch(cell: bytes) -> None:
    body = b"c,value\na,1\n" + cell * (BYTES // len(cell))
    rows = csv_rows_of(body)
    assert [next(rows), next(rows)] == [b"c,value", b"a,1"]
    with pytest.raises(Rejected, match="not CSV: a record with quotes has more than 65536 bytes"):
        next(rows)


def test_a_row_may_have_as_many_bytes_as_a_body() -> None:
    longest = b'"%b"' % (b"a" * (MAX_BODY_BYTES - 2))
    assert [*csv_rows_of(b"c\n" + longest + b"\nb")] == [b"c", longest, b"b"]
    assert [*json_rows_of(b"[" + longest + b",1]")] == [longest, b"1"]
    with pytest.raises(Rejected):
        [*json_rows_of(b"[" + longest[:-1] + b'a",1]')]


def test_a_long_row_that_a_line_end_ends_harms_no_other() -> None:
    long = b"a" * (4 * MAX_BODY_BYTES)
    assert [*csv_rows_of(b"c\n" + long + b"\nb")] == [b"c", long, b"b"]
    assert [*ndjson_rows_of(long + b"\n" + ROW)] == [long, ROW]


def test_a_line_of_a_stream_is_no_blank_one_if_it_is_too_long_for_a_row() -> None:
    blank = b" " * (MAX_BODY_BYTES + 1)
    assert [*ndjson_rows_of(blank + ROW)] == [blank + ROW]
    assert [*ndjson_rows_of(ROW + b"\n" + blank + b"\n" + ROW)] == [ROW, ROW]
    assert [*ndjson_rows([ROW, blank, ROW])] == [ROW, blank, ROW]


@pytest.mark.parametrize("before", [0, *(PIECE_BYTES - few for few in range(10))])
def test_a_letter_is_read_wherever_a_body_is_cut_and_a_broken_one_is_found(before: int) -> None:
    body = b" " * before + '["é€😀"]'.encode()
    reject_undecodable(body)
    with pytest.raises(Rejected, match=f"not UTF-8 at byte {before + 4}"):
        reject_undecodable(body.replace("€".encode(), b"\xe2\x82"))


@given(lines=st.lists(st.text(alphabet='a",\r\n \té', max_size=6).map(str.encode), max_size=12))
def test_blank_lines_or_not_the_rows_are_those_of_a_stream_of_the_same_lines(lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    plain = [line for line in body.split(b"\n") if line and not line.isspace()]
    assert [*ndjson_rows_of(body)] == plain
    errors: list[csv.Error] = []
    by_line = [*csv_records(body.split(b"\n"), errors.append)]
    if not errors:
        assert [*csv_rows_of(body)] == by_line


@given(rows=st.lists(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5), max_size=20))
def test_an_array_is_taken_apart_wherever_its_pieces_end(rows: list[object]) -> None:
    body = json.dumps([*rows, "a" * MAX_BODY_BYTES][:-1], ensure_ascii=False).encode("utf-8", "replace")
    assert [json.loads(row) for row in json_rows_of(body)] == json.loads(body)


def test_elements_are_found_across_pieces() -> None:
    rows = [json.dumps({"c": "é" * (number % 300), "n": number}, ensure_ascii=False).encode() for number in range(4000)]
    assert [*json_rows_of(b"\xef\xbb\xbf [" + b" , ".join(rows) + b"] ")] == rows


def test_a_mistake_in_an_array_is_told_with_its_place() -> None:
    rows = b",".join([b'{"c":"a"}'] * 20_000)
    with pytest.raises(Rejected, match=f"not JSON: Expecting value at byte {len(rows) + 7}"):
        [*json_rows_of(b"[" + rows + b',{"c":tru}]')]


def test_a_line_of_a_stream_is_cut_where_it_is_too_long_for_a_row() -> None:
    (line, rest) = stream_lines(io.BytesIO(b"a" * (8 * MAX_BODY_BYTES) + b"\nb"), 1000)
    assert MAX_BODY_BYTES < len(line) <= 2 * MAX_BODY_BYTES + 1000
    assert rest == b"b"
