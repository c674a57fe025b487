"""A batch is taken apart into rows, each with the bytes that were sent, or refused as a whole with the reason."""

import gzip
import json

import pytest
from backports import zstd

from service.core.batch import (
    MAX_ATOMIC_BYTES,
    MAX_ATOMIC_ROWS,
    MAX_BYTES,
    MAX_HEADER_BYTES,
    MAX_ROWS,
    split_batch,
)
from service.core.bodies import CSV, JSON, NDJSON
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from tests.support import builders


def batch(body: bytes, content_type: str = NDJSON, **changes: object) -> RawPostback:
    """Return a batch as it comes in."""
    given = {"door": "batch", "path": "/postbacks", "request_id": "f" * 32, **changes}
    return builders.posted(body, content_type, **given)


def rows_of(raw: RawPostback) -> list[RawPostback]:
    """Return every row of a batch."""
    return split_batch(raw).postbacks()


def bodies(body: bytes, content_type: str = NDJSON, **changes: object) -> list[bytes]:
    """Return what each row holds."""
    return [row.body for row in rows_of(batch(body, content_type, **changes))]


def refusal(body: bytes, content_type: str = NDJSON, **changes: object) -> Rejected:
    """Return why a batch is refused."""
    with pytest.raises(Rejected) as refused:
        split_batch(batch(body, content_type, **changes))
    return refused.value


ROWS = [b'{"c":"a","value":1.50}', b'{"c": "b", "value": "2"}']


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\n".join(ROWS), NDJSON),
        (b"\r\n\n".join(ROWS) + b"\n \n", NDJSON),
        (b"\xef\xbb\xbf" + b"\n".join(ROWS), NDJSON),
        (b"[" + b",".join(ROWS) + b"]", JSON),
        (b" [\n " + b" ,\r\n\t".join(ROWS) + b"\n]\n ", f"{JSON}; charset=utf-8"),
        (b"\xef\xbb\xbf[" + b",".join(ROWS) + b"]", JSON),
    ],
)
def test_a_row_is_a_json_object_with_the_bytes_that_were_sent(body: bytes, content_type: str) -> None:
    rows = rows_of(batch(body, content_type))
    assert [row.body.strip() for row in rows] == ROWS
    assert {(row.content_type, row.door, row.method, row.path) for row in rows} == {
        (JSON, "batch", "POST", "/postbacks")
    }
    assert [row.request_id for row in rows] == ["f" * 32 + "-1", "f" * 32 + "-2"]
    assert [parse(row, EZMOB).value for row in rows] == ["1.50", "2"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_csv_row_stands_below_its_header_and_an_empty_cell_was_not_sent(end: bytes) -> None:
    lines = [b"c,value,currency,note", b"a,1.50,,x", b"", b'b,"2",EUR,"two', b'lines, ""quoted"""', b"c,3,,"]
    rows = rows_of(batch(end.join(lines) + end, CSV))
    parsed = [parse(row, EZMOB) for row in rows]
    assert [(one.click_id, one.value, one.currency) for one in parsed] == [
        ("a", "1.50", None),
        ("b", "2", "EUR"),
        ("c", "3", None),
    ]
    assert parsed[1].params == {"note": "two" + end.decode() + 'lines, "quoted"'}
    assert parsed[2].params == {}
    assert rows[0].body.splitlines() == [b"c,value,currency,note", b"a,1.50,,x"]


@pytest.mark.parametrize(("row", "count"), [(b"a", 1), (b"a,1,x", 3)])
def test_a_csv_row_with_other_cells_than_its_header_harms_nobody_else(row: bytes, count: int) -> None:
    rows = rows_of(batch(b"c,value\nfirst,1\n" + row + b"\nlast,1\n", CSV))
    assert [parse(rows[place], EZMOB).click_id for place in (0, 2)] == ["first", "last"]
    with pytest.raises(Rejected) as wrong:
        parse(rows[1], EZMOB)
    assert (wrong.value.outcome, wrong.value.detail) == (
        Outcome.MALFORMED_BODY,
        f"{count} cells under a header of 2",
    )


def test_csv_is_for_batches_only() -> None:
    with pytest.raises(Rejected) as wrong:
        parse(builders.posted(b"c,value\na,1", CSV), EZMOB)
    assert wrong.value.outcome is Outcome.UNSUPPORTED_MEDIA_TYPE


def test_a_line_that_is_no_json_is_a_row_of_its_own() -> None:
    assert bodies(b'{"c":\nno\n[]') == [b'{"c":', b"no", b"[]"]


def test_a_row_that_is_not_utf_8_harms_nobody_else() -> None:
    assert bodies(b'[{"c":"\xff"},1]', JSON) == [b'{"c":"\xff"}', b"1"]
    assert bodies(b"c,value\n\xff,1\na,1", CSV) == [b"c,value\n\xff,1", b"c,value\na,1"]


def test_an_element_that_is_no_object_is_a_row_of_its_own() -> None:
    assert bodies(b'[{"c":"a"}, 1, "x", [2, {}], null]', JSON) == [b'{"c":"a"}', b"1", b'"x"', b"[2, {}]", b"null"]


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [(lambda body: body, "identity"), (gzip.compress, "gzip"), (zstd.compress, "zstd")],
)
def test_a_body_may_be_compressed_and_in_several_parts(pack: "type[bytes]", encoding: str) -> None:
    packed = pack(ROWS[0] + b"\n") + pack(ROWS[1])
    assert bodies(packed, content_encoding=encoding) == ROWS


@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
def test_a_body_of_very_many_parts_is_refused_before_each_is_unpacked(pack: "type[bytes]", encoding: str) -> None:
    part = pack(b" ")
    assert bodies(part * 63 + pack(ROWS[0]), content_encoding=encoding) == [b" " * 63 + ROWS[0]]
    assert refusal(part * 64 + pack(ROWS[0]), content_encoding=encoding).outcome is Outcome.TOO_LARGE


@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
def test_a_small_body_that_unpacks_to_a_large_one_is_refused(pack: "type[bytes]", encoding: str) -> None:
    body = pack(b" " * (MAX_BYTES + 1))
    assert len(body) < MAX_BYTES / 100
    assert refusal(body, content_encoding=encoding).outcome is Outcome.TOO_LARGE
    in_parts = pack(b" " * (MAX_BYTES // 2)) * 3
    assert refusal(in_parts, content_encoding=encoding).outcome is Outcome.TOO_LARGE
    assert bodies(pack(b" " * (MAX_BYTES - len(ROWS[0])) + ROWS[0]), content_encoding=encoding)


@pytest.mark.parametrize(
    ("body", "content_type", "changes", "outcome", "detail"),
    [
        (ROWS[0], "application/xml", {}, Outcome.UNSUPPORTED_MEDIA_TYPE, "a batch is application/json"),
        (b"x", "", {}, Outcome.UNSUPPORTED_MEDIA_TYPE, "looks like none of application/json"),
        (b"c", "text/plain", {}, Outcome.UNSUPPORTED_MEDIA_TYPE, "looks like none of application/json"),
        (ROWS[0], f"{NDJSON}; charset=utf-16", {}, Outcome.UNSUPPORTED_MEDIA_TYPE, "charset 'utf-16': send UTF-8"),
        (ROWS[0], NDJSON, {"content_encoding": "br"}, Outcome.UNSUPPORTED_MEDIA_TYPE, "content encoding 'br'"),
        (ROWS[0], NDJSON, {"content_encoding": "gzip"}, Outcome.MALFORMED_BODY, "the body is not gzip"),
        (ROWS[0], NDJSON, {"content_encoding": "zstd"}, Outcome.MALFORMED_BODY, "the body is not zstd"),
        (
            gzip.compress(ROWS[0], mtime=0)[:-9],
            NDJSON,
            {"content_encoding": "gzip"},
            Outcome.MALFORMED_BODY,
            "ends too early",
        ),
        (ROWS[0], NDJSON, {"complete": False}, Outcome.MALFORMED_BODY, "hung up"),
        (ROWS[0], NDJSON, {"query": b"c=a"}, Outcome.MALFORMED_BODY, "no parameter but atomic=1"),
        (ROWS[0], NDJSON, {"query": b"atomic=yes"}, Outcome.MALFORMED_BODY, "no parameter but atomic=1"),
        (b"{}\n" * 5001, NDJSON, {"query": b"atomic=1"}, Outcome.TOO_LARGE, "5000 rows, and all or none"),
        (b"x" * (2**21 + 1), NDJSON, {"query": b"atomic=1"}, Outcome.TOO_LARGE, "2097152 bytes, and all or none"),
        (b" " * (MAX_BYTES + 1), NDJSON, {}, Outcome.TOO_LARGE, "bytes"),
        (b"", NDJSON, {}, Outcome.MALFORMED_BODY, "no row"),
        (b"\n \n", NDJSON, {}, Outcome.MALFORMED_BODY, "no row"),
        (b"[]", JSON, {}, Outcome.MALFORMED_BODY, "no row"),
        (b"c,value\n", CSV, {}, Outcome.MALFORMED_BODY, "no row"),
        (b'c,value\n"a,1\n', CSV, {}, Outcome.MALFORMED_BODY, "not CSV"),
        (b"c,\xff\na,1", CSV, {}, Outcome.INVALID_ENCODING, "byte 2"),
        ("c,value\na,1".encode("utf-16"), CSV, {}, Outcome.INVALID_ENCODING, "byte 0"),
        (b'[{"c":"\xff"},]', JSON, {}, Outcome.INVALID_ENCODING, "byte 7"),
        ('[{"c":"a"}]'.encode("utf-16"), JSON, {}, Outcome.INVALID_ENCODING, "byte 0"),
        (b'{"c":"a"}', JSON, {}, Outcome.MALFORMED_BODY, "not a JSON array"),
        (b'[{"c":"a"}', JSON, {}, Outcome.MALFORMED_BODY, "not a JSON array"),
        (b'[{"c":"a"},]', JSON, {}, Outcome.MALFORMED_BODY, "not JSON"),
        (b'[{"c":"a"}] x', JSON, {}, Outcome.MALFORMED_BODY, "not a JSON array"),
        (b'[{"c":"a"} {"c":"b"}]', JSON, {}, Outcome.MALFORMED_BODY, "not a JSON array"),
        (b"[" * 100_000, JSON, {}, Outcome.MALFORMED_BODY, "not JSON"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_as_a_whole(
    body: bytes, content_type: str, changes: dict[str, object], outcome: Outcome, detail: str
) -> None:
    refused = refusal(body, content_type, **changes)
    assert refused.outcome is outcome
    assert detail in refused.detail


def test_a_batch_has_a_bounded_number_of_rows() -> None:
    assert len(bodies(b"{}\n" * MAX_ROWS)) == MAX_ROWS
    assert refusal(b"{}\n" * (MAX_ROWS + 1)).outcome is Outcome.TOO_LARGE
    assert refusal(json.dumps([0] * (MAX_ROWS + 1)).encode(), JSON).outcome is Outcome.TOO_LARGE


def test_a_csv_header_has_a_bounded_length_because_each_row_is_kept_with_it() -> None:
    header = b"c,value,".ljust(MAX_HEADER_BYTES, b"x")
    assert bodies(header + b"\na,1,2\n", CSV) == [header + b"\na,1,2"]
    assert "header" in refusal(header + b"x\na,1,2\n", CSV).detail


def test_all_or_nothing_is_asked_for_in_the_url_and_is_no_parameter_of_a_row() -> None:
    split = split_batch(batch(b"\n".join(ROWS), query=b"atomic=1"))
    assert split.atomic
    assert [parse(row, EZMOB).params for row in split.postbacks()] == [{}, {}]
    assert not split_batch(batch(ROWS[0])).atomic


def test_all_or_nothing_takes_what_one_commit_can_hold() -> None:
    many, long = b"{}\n" * MAX_ATOMIC_ROWS, b"x" * MAX_ATOMIC_BYTES
    assert [len(split_batch(batch(body, query=b"atomic=1")).rows) for body in (many, long)] == [MAX_ATOMIC_ROWS, 1]


def test_rows_are_made_a_few_at_a_time_and_each_knows_its_place() -> None:
    split = split_batch(batch(b"c,value\na,1\nb,2\nc,3\n", CSV))
    first, second = ([(row.body, row.request_id[-2:]) for row in group] for group in split.groups(2, 100))
    assert first == [(b"c,value\na,1", "-1"), (b"c,value\nb,2", "-2")]
    assert second == [(b"c,value\nc,3", "-3")]


def test_large_rows_are_made_fewer_at_a_time() -> None:
    split = split_batch(batch(b"\n".join([b"a" * 100] * 5)))
    assert [len(group) for group in split.groups(4, 200)] == [2, 2, 1]


def test_a_zstd_window_larger_than_any_body_is_refused() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    greedy = compressor.compress(ROWS[0]) + compressor.flush()
    assert "not zstd" in refusal(greedy, content_encoding="zstd").detail


@pytest.mark.parametrize(
    ("said", "body", "rows"),
    [
        *((said, b'[{"c":"a"},{"c":"b"}]', [b'{"c":"a"}', b'{"c":"b"}']) for said in ("", "text/plain", "text/json")),
        *((said, b'{"c":"a"}\n{"c":"b"}\n', [b'{"c":"a"}', b'{"c":"b"}']) for said in ("", "text/plain", "x")),
        *((said, b'{"c":"a"}\n', [b'{"c":"a"}']) for said in ("application/jsonl", f"{NDJSON}; charset=utf-8;")),
        *((said, b"c,value\na,1", [b"c,value\na,1"]) for said in ("", "text/plain", "application/octet-stream")),
        *((said, b"c,value\na,1", [b"c,value\na,1"]) for said in ("text/csv; charset=utf-8; header=present",)),
        *((said, b"c,value\na,1", [b"c,value\na,1"]) for said in ("application/csv", 'Text/CSV; charset="UTF-8"')),
        ("text/csv; charset=iso-8859-1", b"c,value\na,1", [b"c,value\na,1"]),
        ("", b"\xef\xbb\xbf \n[1]", [b"1"]),
    ],
)
def test_a_batch_is_read_as_what_it_unmistakably_is(said: str, body: bytes, rows: list[bytes]) -> None:
    assert bodies(body, said) == rows


def test_a_batch_in_another_charset_is_read_while_it_is_the_same_in_utf_8() -> None:
    refused = refusal("c,value\né,1".encode("latin-1"), "text/csv; charset=iso-8859-1")
    assert (refused.outcome, refused.detail) == (
        Outcome.UNSUPPORTED_MEDIA_TYPE,
        "charset 'iso-8859-1': send UTF-8",
    )
