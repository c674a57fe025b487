"""A file of rows is read like a batch, row by row, whatever its size, its packing, or the damage in it."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.batch import split_batch
from service.core.bodies import CSV
from service.core.decoding import Pairs, decode_csv, decode_moment
from service.core.outcome import Outcome, Rejected
from service.core.parameters import MAX_BODY_BYTES
from service.core.rows import stream_lines
from service.operations.files.row_file import Form, RowFile, UnreadableFile
from tests.support import builders

HEADER, ROWS = b"c,value", [b"a,1.50", b'b,"2"', b'"c\nd",3']
CONTENT = b"\n".join([HEADER, *ROWS]) + b"\n"


def rows_in(tmp_path: Path, content: bytes, name: str = "rows.csv", form: Form = "csv") -> list[bytes]:
    path = tmp_path / name
    path.write_bytes(content)
    with RowFile(path, form).rows() as rows:
        return list(rows)


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (bytes, "rows.csv"),
        (gzip.compress, "rows.csv.gz"),
        (zstd.compress, "rows.csv.zst"),
        (lambda content: b"\xef\xbb\xbf" + content, "rows.csv"),
        (lambda content: gzip.compress(content[:9], mtime=0) + gzip.compress(content[9:], mtime=0), "ROWS.CSV.GZ"),
    ],
    ids=["plain", "gzip", "zstd", "byte order mark", "gzip in parts"],
)
def test_however_it_is_packed_it_holds_the_same_rows(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    assert rows_in(tmp_path, pack(CONTENT), name) == [HEADER, *ROWS]


def test_lines_that_are_not_blank_are_rows_of_ndjson(tmp_path: Path) -> None:
    assert rows_in(tmp_path, b'{"c":"a"}\r\n\n \n"x\n1', form="ndjson") == [b'{"c":"a"}\r', b'"x', b"1"]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'c,value\n"a"x,1\nb,2\n', [b'"a"x,1', b"b,2"]),
        (b'c,value\n5" disk,1\nb,2\n', [b'5" disk,1', b"b,2"]),
        (b'c,value\nb,2\n"a,1\nc,3\n', [b"b,2", b'"a,1\nc,3']),
        (b"c,value\na\rb,1\nb,2\n", [b"a\rb,1", b"b,2"]),
    ],
    ids=["after a quote", "within a cell", "never closed", "a carriage return"],
)
def test_a_damaged_record_is_a_row_of_its_own(tmp_path: Path, content: bytes, rows: list[bytes]) -> None:
    assert rows_in(tmp_path, content)[1:] == rows


def test_a_quote_that_is_never_closed_takes_no_more_than_a_row_may_have(tmp_path: Path) -> None:
    lines = [b"%09d" % number for number in range(20_000)]
    _, row, *others = rows_in(tmp_path, b'c,value\n"' + b"\n".join(lines))
    assert MAX_BODY_BYTES < len(row) < MAX_BODY_BYTES + 20
    assert b'"' + b"\n".join(lines) == b"\n".join([row, *others])


def test_a_line_without_an_end_is_cut_and_what_follows_is_read(tmp_path: Path) -> None:
    long, after = rows_in(tmp_path, b"x" * 3_000_000 + b"\n{}\n", form="ndjson")
    assert MAX_BODY_BYTES < len(long) < 500_000
    assert after == b"{}"


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (gzip.compress(CONTENT, mtime=0)[:-9], "rows.csv.gz", "ended before"),
        (CONTENT, "rows.csv.gz", "Not a gzipped file"),
        (CONTENT, "rows.csv.zst", "Unable to decompress"),
        (zstd.compress(CONTENT)[:-3], "rows.csv.zst", "ended before"),
    ],
    ids=["gzip that ends early", "no gzip", "no zstd", "zstd that ends early"],  # bytes of gzip hold the time
)
def test_a_file_that_cannot_be_unpacked_says_why(tmp_path: Path, content: bytes, name: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        rows_in(tmp_path, content, name)


def test_a_digest_is_that_of_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CONTENT)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
    plain, packed = RowFile(tmp_path / "a.csv", "csv"), RowFile(tmp_path / "b.csv.gz", "csv")
    (one, other), size = plain.digests(["x", "y"], str)
    assert packed.digests(["x", "y"], str) == ([one, other], size)
    assert one != other
    assert size == len(CONTENT)


def test_lines_come_out_of_a_stream_whatever_it_is_cut_into(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"ab\n\ncd\nef")
    for size in range(1, 12):
        with (tmp_path / "lines").open("rb") as stream:
            assert list(stream_lines(stream, size)) == [b"ab", b"", b"cd", b"ef"]


CELLS = st.text(alphabet='ab",\r\n\0é ', max_size=4).map(str.encode) | st.binary(max_size=3)
COLUMNS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=3)


def read_by_a_reader(body: bytes) -> Pairs | Outcome:
    """Read a record as every row could be read, if it did not take so long."""
    try:
        names, cells = csv.reader(io.StringIO(body.decode("utf-8", "surrogateescape"), newline=""), strict=True)
        return [(kept(name), kept(cell)) for name, cell in zip(names, cells, strict=True) if cell]
    except (ValueError, csv.Error):
        return Outcome.MALFORMED_BODY


def kept(text: str) -> str:
    """Return a text as it is kept: of what is not UTF-8 the escapes."""
    shown = (f"%{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in text)
    return "".join(shown).replace("\0", r"\u0000")


@given(columns=COLUMNS, end=st.sampled_from([b"", b"\r", b"\n", b"\r\n"]))
@settings(max_examples=1000)
def test_a_plain_row_is_read_as_a_reader_of_csv_reads_it(columns: list[tuple[bytes, bytes]], end: bytes) -> None:
    body = b"\n".join(b",".join(line) for line in zip(*columns, strict=True)) + end
    try:
        decoded: Pairs | Outcome = decode_csv(body)
    except Rejected as refused:
        decoded = refused.outcome
    assert decoded == read_by_a_reader(body)


@given(lines=st.lists(st.text(alphabet='a",\r é', max_size=6).map(str.encode), max_size=8))
def test_a_file_of_csv_is_taken_apart_like_a_batch(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    content = b"\n".join([b"c,value", *lines])
    try:
        taken = split_batch(builders.posted(content, CSV, door="batch"))
    except Rejected:
        return  # a batch is refused as a whole
    assert rows_in(tmp_path_factory.mktemp("rows"), content) == [taken.header, *taken.rows]


@pytest.mark.parametrize("text", ["", "soon", "20260101", "1712010100000", "2026-13-01", "0001-01-01T00:00+01:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no ISO 8601 time"):
        decode_moment(text)
