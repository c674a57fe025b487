"""Owns how the body of a batch becomes rows: each one a raw postback of its own, with the bytes that were sent.

Pure: rows are not parsed here. A body that cannot be split is rejected as a whole, and then it has no rows.
"""

import csv
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice, repeat
from typing import NoReturn

from service.core.bodies import CSV, JSON, NDJSON, UNSAID, content_type_of, reject_charset
from service.core.decoding import as_text
from service.core.decompression import Readable, unpack
from service.core.outcome import Outcome, Rejected
from service.core.parameters import MAX_BODY_BYTES
from service.core.postback import MAX_KEPT_BYTES, RawPostback
from service.core.redaction import may_hold_secrets, redact

MAX_ROWS = 50_000
MAX_ATOMIC_ROWS = 5_000  # all or none: they go into one commit, and everybody else waits for it (docs/batch.md)
MAX_BYTES = 16 * 2**20  # of a body, as it is sent and as it is without compression
MAX_ATOMIC_BYTES = 2 * 2**20  # of all its rows, for the same reason
MAX_HEADER_BYTES = 2 * 1024  # of CSV: it is kept with each row that is rejected
_MOST_READ = 2 * MAX_BODY_BYTES  # of a row: a longer one is rejected, and its beginning kept
_CHUNK_BYTES = 256 * 1024  # read from a stream at once


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch split into rows as they were sent, and the header of CSV. `raw` is the request, without its body.

    `atomic`: all rows are stored, or none.
    """

    raw: RawPostback
    media_type: str
    header: bytes
    rows: list[bytes]
    atomic: bool = False

    def postbacks(self, first: int, count: int) -> list[RawPostback]:
        """Return so many rows as raw postbacks, their header before each; request_ids end in `-1`, `-2` and so on.

        A few at a time, because a header of CSV in 50,000 of them would be a hundred megabytes.
        """
        raw = self.raw._replace(content_type=self.media_type)
        return row_postbacks(raw, self.header, self.rows[first : first + count], first)


_AS_RAW = partial(tuple.__new__, RawPostback)  # `_make` is a Python function, and rows are many
_BODY, _REQUEST_ID = RawPostback._fields.index("body"), RawPostback._fields.index("request_id")


def row_postbacks(raw: RawPostback, header: bytes, rows: Sequence[bytes], first: int) -> list[RawPostback]:
    """Return rows as raw postbacks like `raw`, the header of CSV before each; the first one's number is `first` + 1.

    Secrets are redacted here, row by row: one search through a whole body would keep the event loop busy for too long.
    """
    head = redact(header) + b"\n" if header else b""
    if may_hold_secrets(b"\n".join(rows)):
        rows = [redact(row[:_MOST_READ]) for row in rows]
    columns: list[Iterable[object]] = [*map(repeat, raw)]
    columns[_BODY] = (head + row for row in rows) if head else rows
    columns[_REQUEST_ID] = (f"{raw.request_id}-{number}" for number in count(first + 1))
    return [*map(_AS_RAW, zip(*columns, strict=False))]  # zip ends with the rows


def as_kept(raw: RawPostback) -> RawPostback:
    """Return a batch as it is kept when it is rejected as a whole: its beginning, with secrets redacted."""
    body = redact(raw.body[:MAX_KEPT_BYTES])
    return raw._replace(body=body, complete=raw.complete and len(raw.body) <= MAX_KEPT_BYTES)


def split_batch(raw: RawPostback) -> Batch:
    """Split a batch into its rows. Raises `Rejected` for the whole batch."""
    atomic = raw.query == b"atomic=1"
    if raw.query and not atomic:
        raise Rejected(
            Outcome.MALFORMED_BODY, "a batch takes no parameter but atomic=1 in its URL; each row has its own"
        )
    if not raw.complete:
        raise Rejected(Outcome.MALFORMED_BODY, f"the sender hung up after {len(raw.body)} bytes of the body")
    if len(raw.body) > MAX_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BYTES} bytes")
    said = content_type_of(raw.content_type)
    if said.media_type not in _SPLITS and said.media_type != UNSAID:
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"a batch is {', '.join(_SPLITS)}")
    body = unpack(raw.body, raw.content_encoding, MAX_BYTES)
    reject_charset(said.charset, body)
    media_type = said.media_type or _looks(body)
    headed = media_type == CSV
    split = _SPLITS[media_type]
    rows = list(islice(split(body), MAX_ROWS + headed + 1))
    header = rows.pop(0) if headed and rows else b""
    if len(rows) > MAX_ROWS:
        raise Rejected(Outcome.TOO_LARGE, f"more than {MAX_ROWS} rows")
    if len(header) > MAX_HEADER_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the header has more than {MAX_HEADER_BYTES} bytes")
    if not rows:
        raise Rejected(Outcome.MALFORMED_BODY, "there is no row in it")
    if atomic:
        _bounded(rows)
    bare = raw._replace(query=b"", body=b"", content_encoding="")
    return Batch(bare, CSV if headed else JSON, header, rows, atomic)


_CSV_BEGINS = re.compile(rb"[A-Za-z_][A-Za-z0-9_ .\-]*(?:,[A-Za-z0-9_ .\-]+)+\r?\n")  # names in a header


def _looks(body: bytes) -> str:
    """Return the type that a body without a type unmistakably has."""
    start = body[: MAX_HEADER_BYTES + len(BOM_UTF8)].removeprefix(BOM_UTF8).lstrip(b" \t\r\n")
    if start[:1] in (b"[", b"{"):
        return JSON if start[:1] == b"[" else NDJSON
    if _CSV_BEGINS.match(start):
        return CSV
    raise Rejected(
        Outcome.UNSUPPORTED_MEDIA_TYPE, f"a body without a type that looks like none of {', '.join(_SPLITS)}"
    )


def _bounded(rows: list[bytes]) -> None:
    if len(rows) > MAX_ATOMIC_ROWS:
        raise Rejected(Outcome.TOO_LARGE, f"more than {MAX_ATOMIC_ROWS} rows, and all or none are wanted")
    if sum(map(len, rows)) > MAX_ATOMIC_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"rows of more than {MAX_ATOMIC_BYTES} bytes, and all or none are wanted")


_ELEMENT = json.JSONDecoder(parse_float=str, parse_int=str)  # where an element ends; parse() reads it again, strictly


def _json_rows(body: bytes) -> Iterator[bytes]:
    """Yield the elements of an array. What is wrong between them is wrong with all of it."""
    text, undecodable = as_text(body.removeprefix(BOM_UTF8))
    wrong = Outcome.INVALID_ENCODING if undecodable else Outcome.MALFORMED_BODY
    at = _past_space(text, 0)
    if text[at : at + 1] != "[":
        raise Rejected(wrong, f"the body {undecodable or 'is not a JSON array'}")
    at = _past_space(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        try:
            _, end = _ELEMENT.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise Rejected(wrong, f"the body {undecodable or f'is not JSON: {str(error)[:200]}'}") from None
        yield text[at:end].encode("utf-8", "surrogateescape")
        at = _past_space(text, end)
        more = text[at : at + 1] == ","
        at = _past_space(text, at + 1) if more else at
    if text[at : at + 1] != "]" or _past_space(text, at + 1) < len(text):
        raise Rejected(wrong, f"the body {undecodable or f'is not a JSON array: at character {at}'}")


_SPACE = re.compile(r"[ \t\r\n]*")


def _past_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _ndjson_rows(body: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank."""
    return ndjson_rows(body.removeprefix(BOM_UTF8).split(b"\n"))


def ndjson_rows(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not blank."""
    return (line for line in lines if line and not line.isspace())


def _csv_rows(body: bytes) -> Iterator[bytes]:
    """Yield the header, then each record that is not blank."""

    def broken(error: csv.Error) -> NoReturn:
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not CSV: {error}") from None

    _, undecodable = as_text(body.partition(b"\n")[0])
    if undecodable:  # what is wrong with the header is wrong with all rows
        raise Rejected(Outcome.INVALID_ENCODING, f"the body {undecodable}")
    return csv_records(body.removeprefix(BOM_UTF8).split(b"\n"), broken, MAX_BYTES)


_ONE_LINE = re.compile(rb'[^"\r]*\r?')  # surely a record of its own


def csv_records(
    lines: Iterable[bytes],
    broken: Callable[[csv.Error], object],
    longest: int = MAX_BODY_BYTES,
    *,
    delimiter: str = ",",
) -> Iterator[bytes]:
    """Yield each record that is not blank (RFC 4180), the header among them, as it stands in the lines.

    `broken` is called with the error of a malformed record; if it does not raise, the record is yielded too, for
    parse() to reject. A quote that is never closed ends with the line that makes it longer than `longest` bytes.
    """
    rest = iter(lines)
    for line in rest:
        if _ONE_LINE.fullmatch(line):
            if line not in (b"", b"\r"):
                yield line
            continue
        taken: list[bytes] = []
        try:
            blank = not next(
                csv.reader(_taking(chain([line], rest), taken, longest), delimiter=delimiter, strict=True), None
            )
        except csv.Error as error:
            broken(error)
            blank = False
        if not blank:
            yield b"\n".join(taken)


def _taking(lines: Iterable[bytes], taken: list[bytes], longest: int) -> Iterator[str]:
    size = 0
    for line in lines:
        taken.append(line)
        size += len(line) + 1
        yield line.decode("utf-8", "surrogateescape") + "\n"
        if size > longest:
            return


def stream_lines(stream: Readable, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, in bounded memory: so many bytes are read at once.

    A line that is longer than any row may be is cut, but left long enough for parse() to reject it.
    """
    rest = b""
    while chunk := stream.read(chunk_bytes):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        rest = rest[:_MOST_READ]
    if rest:
        yield rest


_SPLITS: dict[str, Callable[[bytes], Iterator[bytes]]] = {JSON: _json_rows, NDJSON: _ndjson_rows, CSV: _csv_rows}
MEDIA_TYPES = tuple(_SPLITS)
