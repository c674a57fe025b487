"""Owns how text becomes rows: lines, records of CSV, elements of a JSON array, one at a time and in bounded memory.

However a body is made, the work for it is proportional to its bytes: nothing here is done at once with all of it.
"""

import csv
import json
import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NoReturn

from service.core.csv_fault import csv_fault
from service.core.decompression import Readable
from service.core.outcome import Outcome, Rejected
from service.core.parameters import MAX_BODY_BYTES

PIECE_BYTES = 64 * 1024  # of a body, looked at in one step: while it is looked at, nobody else has a turn
_CHUNK_BYTES = 256 * 1024  # read from a stream at once
_BLANK_LINES = re.compile(rb"[ \t\r\n\v\f]*")
_LINE_ENDS = re.compile(rb"[\r\n]*")  # of CSV: a line of spaces is a record
_JSON_SPACE = re.compile(rb"[ \t\r\n]*")
_TEXT_BEGINS = 33  # the first byte that no blank line holds


def ndjson_rows(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream that are not blank. One that is too long for a row, and so was cut, is a row too."""
    return (line for line in lines if line and (len(line) > MAX_BODY_BYTES or not line.isspace()))


def ndjson_rows_of(body: bytes) -> Iterator[bytes]:
    """Yield the lines of a body that are not blank."""
    return (line for line in _lines_of(body, _BLANK_LINES) if line and not line.isspace())


def csv_rows_of(body: bytes) -> Iterator[bytes]:
    """Yield the header, then each record that is not blank.

    Raises `Rejected`: malformed_body, invalid_encoding (of the header: any other record is rejected by itself).
    """

    def broken(error: csv.Error) -> NoReturn:
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not CSV: {csv_fault(error)}") from None

    reject_undecodable(body[: body.find(b"\n") + 1])
    return csv_records(_lines_of(body, _LINE_ENDS), broken)


def _lines_of(body: bytes, blank: re.Pattern[bytes]) -> Iterator[bytes]:
    """Yield the lines of a body without their ends. Blank ones that follow one another come as one: they are millions.

    `blank` is what blank lines are made of.
    """
    at, size = len(BOM_UTF8) if body.startswith(BOM_UTF8) else 0, len(body)
    while at < size:
        end = -1
        if body[at] < _TEXT_BEGINS:
            end = body.rfind(b"\n", at, _end_of(blank, body, at, at + PIECE_BYTES))
        if end < 0:
            end = body.find(b"\n", at)
        yield body[at:] if end < 0 else body[at:end]
        at = size if end < 0 else end + 1


def csv_records(
    lines: Iterable[bytes], broken: Callable[[csv.Error], object], *, delimiter: str = ","
) -> Iterator[bytes]:
    """Yield each record that is not blank (RFC 4180), the header among them, as it stands in the lines.

    `broken` is called with the error of a malformed record; if it does not raise, the record is yielded too, for
    parse() to reject. A quote that is never closed ends with the line that makes the record longer than a row may be.
    """
    rest = iter(lines)
    for line in rest:
        if not line.strip(b"\r\n"):
            continue
        if b'"' not in line and line.find(b"\r", 0, len(line) - 1) < 0:
            yield line
            continue
        taken: list[bytes] = []
        try:
            blank = not next(csv.reader(_taking(chain([line], rest), taken), delimiter=delimiter, strict=True), None)
        except csv.Error as error:
            broken(error)
            blank = False
        if not blank:
            yield b"\n".join(taken)


def _taking(lines: Iterable[bytes], taken: list[bytes]) -> Iterator[str]:
    """Yield lines for a reader, which makes much of a long one: so it does not get what is too long for a row."""
    size = -1
    for line in lines:
        taken.append(line)
        size += len(line) + 1
        if size > MAX_BODY_BYTES:
            raise csv.Error(f"a record with quotes has more than {MAX_BODY_BYTES} bytes")
        yield line.decode("utf-8", "surrogateescape") + "\n"


_ELEMENT = json.JSONDecoder(parse_float=str, parse_int=str)  # where an element ends; parse() reads it again, strictly
_LONGEST_SIGN = 8  # bytes: an error so near the end of what was read may be none in what follows


def json_rows_of(body: bytes) -> Iterator[bytes]:
    """Yield the elements of an array. What is wrong between them is wrong with all of it.

    Raises `Rejected`: malformed_body (invalid_encoding, if the body is not UTF-8 besides), and too_large for an element
    that is longer than a row may be.
    """
    at = _past_space(body, len(BOM_UTF8) if body.startswith(BOM_UTF8) else 0)
    if body[at : at + 1] != b"[":
        raise _malformed(body, "the body is not a JSON array")
    at = _past_space(body, at + 1)
    more, begins, piece = body[at : at + 1] != b"]", 0, ""
    while more:
        if begins + len(piece) - at <= MAX_BODY_BYTES:  # a letter for a byte: JSON's own signs are ASCII
            begins, piece = at, body[at : at + 2 * MAX_BODY_BYTES].decode("latin-1")
        end = begins + _element_end(piece, at - begins, begins, body)
        yield body[at:end]
        at = _past_space(body, end)
        more = body[at : at + 1] == b","
        at = _past_space(body, at + 1) if more else at
    if body[at : at + 1] != b"]" or _past_space(body, at + 1) < len(body):
        raise _malformed(body, f"the body is not a JSON array: at byte {at}")


def _element_end(piece: str, at: int, begins: int, body: bytes) -> int:
    """Return where an element ends in a piece of a body, which begins there. Raises `Rejected`."""
    try:
        end = _ELEMENT.raw_decode(piece, at)[1]
    except RecursionError as error:
        raise _malformed(body, f"the body is not JSON: {error}") from None
    except json.JSONDecodeError as error:
        inside = error.pos < len(piece) - _LONGEST_SIGN and not error.msg.startswith("Unterminated string")
        if inside or begins + len(piece) == len(body):
            raise _malformed(body, f"the body is not JSON: {error.msg} at byte {begins + error.pos}") from None
        end = len(piece)
    if end - at > MAX_BODY_BYTES:
        what = f"the element of the array that begins at byte {begins + at} has more than {MAX_BODY_BYTES} bytes"
        raise Rejected(Outcome.TOO_LARGE, what)
    return end


def _past_space(body: bytes, at: int) -> int:
    while (end := _end_of(_JSON_SPACE, body, at, at + PIECE_BYTES)) == at + PIECE_BYTES:
        at = end
    return end


def _end_of(pattern: re.Pattern[bytes], body: bytes, at: int, most: int) -> int:
    """Return where a pattern ends that matches everywhere, if only nothing."""
    found = pattern.match(body, at, most)
    return found.end() if found else at


def _malformed(body: bytes, said: str) -> Rejected:
    reject_undecodable(body)
    return Rejected(Outcome.MALFORMED_BODY, said)


def reject_undecodable(body: bytes) -> None:
    """Raise `Rejected` for a body that is not UTF-8."""
    if body.isascii():
        return
    decoder = getincrementaldecoder("utf-8")()
    for at in range(0, len(body), PIECE_BYTES):
        held = len(decoder.getstate()[0])  # bytes of a letter that the piece before has begun
        try:
            decoder.decode(body[at : at + PIECE_BYTES], final=at + PIECE_BYTES >= len(body))
        except UnicodeDecodeError as error:
            where = at - held + error.start
            raise Rejected(Outcome.INVALID_ENCODING, f"the body is not UTF-8 at byte {where}") from None


def stream_lines(stream: Readable, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, in bounded memory: so many bytes are read at once.

    A line that is longer than any row may be is cut, but left long enough for parse() to reject it.
    """
    rest = b""
    while chunk := stream.read(chunk_bytes):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        rest = rest[: 2 * MAX_BODY_BYTES]
    if rest:
        yield rest
