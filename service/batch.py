"""Owns how the body of a batch becomes rows: each one a raw postback of its own, with the bytes that were sent.

Pure: a row is not judged here. What cannot be taken apart is rejected as a whole, and then no row of it is a postback.
"""

import csv
import json
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from service.outcome import Outcome, Rejected
from service.postback import RawPostback, media_type_of

MAX_ROWS = 50_000
MAX_BYTES = 16 * 2**20  # of a body, as it is sent and as it is without compression

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"

_Row = tuple[bytes, str]  # what was sent, and its media type


def rows_of(raw: RawPostback) -> list[RawPostback]:
    """Take a batch apart; each row's request_id is the batch's with `-1`, `-2`… Raises `Rejected` for the whole."""
    if raw.query:
        raise Rejected(Outcome.MALFORMED_BODY, "a batch takes no parameters in its URL; each row has its own")
    if not raw.complete:
        raise Rejected(Outcome.MALFORMED_BODY, f"the sender hung up after {len(raw.body)} bytes of the body")
    if len(raw.body) > MAX_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BYTES} bytes")
    split = _SPLITS.get(media_type_of(raw))
    if split is None:
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"a batch is {', '.join(_SPLITS)}")
    rows = []
    for number, (body, media_type) in enumerate(split(_decompressed(raw)), 1):
        if number > MAX_ROWS:
            raise Rejected(Outcome.TOO_LARGE, f"more than {MAX_ROWS} rows")
        named = f"{raw.request_id}-{number}"
        rows.append(raw._replace(body=body, content_type=media_type, content_encoding="", request_id=named))
    if not rows:
        raise Rejected(Outcome.MALFORMED_BODY, "there is no row in it")
    return rows


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": zstd.ZstdDecompressor,
}


def _decompressed(raw: RawPostback) -> bytes:
    """Return the body; never more than one byte beyond the limit is unpacked."""
    if raw.content_encoding in ("", "identity"):
        return raw.body
    make = _DECOMPRESSORS.get(raw.content_encoding)
    if make is None:
        encodings = ", ".join(_DECOMPRESSORS)
        raise Rejected(
            Outcome.UNSUPPORTED_MEDIA_TYPE, f"content encoding {raw.content_encoding[:40]!a}; take {encodings}"
        )
    packed, unpacked = raw.body, bytearray()
    try:
        while packed:  # both forms may be several, one after the other
            part = make()
            unpacked += part.decompress(packed, MAX_BYTES + 1 - len(unpacked))
            if len(unpacked) > MAX_BYTES:
                raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BYTES} bytes when it is unpacked")
            if not part.eof:
                raise Rejected(Outcome.MALFORMED_BODY, f"the {raw.content_encoding} of the body ends too early")
            packed = part.unused_data
    except (zlib.error, zstd.ZstdError) as error:
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not {raw.content_encoding}: {error}") from None
    return bytes(unpacked)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(Outcome.INVALID_ENCODING, f"the body is not UTF-8 at byte {error.start}") from None


_ELEMENT = json.JSONDecoder(parse_float=str, parse_int=str)  # where an element ends; parse() reads it again, strictly


def _json_rows(body: bytes) -> Iterator[_Row]:
    """Yield the elements of an array. What is wrong between them is wrong with all of it."""
    text = _text(body)
    at = _past_space(text, 0)
    if text[at : at + 1] != "[":
        raise Rejected(Outcome.MALFORMED_BODY, "the body is not a JSON array")
    at = _past_space(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        try:
            _, end = _ELEMENT.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise Rejected(Outcome.MALFORMED_BODY, f"the body is not JSON: {str(error)[:200]}") from None
        yield text[at:end].encode(), JSON
        at = _past_space(text, end)
        more = text[at : at + 1] == ","
        at = _past_space(text, at + 1) if more else at
    if text[at : at + 1] != "]" or text[at + 1 :].strip(_JSON_SPACE):
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not a JSON array: at character {at}")


_JSON_SPACE = " \t\r\n"


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _JSON_SPACE:
        at += 1
    return at


def _ndjson_rows(body: bytes) -> Iterator[_Row]:
    """Yield the lines that are not blank."""
    return ((line, JSON) for line in body.removeprefix(BOM_UTF8).split(b"\n") if line and not line.isspace())


def _csv_rows(body: bytes) -> Iterator[_Row]:
    """Yield each record with the header before it: a row can be read, kept and sent again by itself."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in _text(body).split("\n"):
            taken.append(line)
            yield f"{line}\n"

    header = ""
    try:
        for cells in csv.reader(lines(), strict=True):
            record = "\n".join(taken)
            taken.clear()
            if not header:
                header = record
            elif cells:
                yield f"{header}\n{record}".encode(), CSV
    except csv.Error as error:
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not CSV: {error}") from None


_SPLITS: dict[str, Callable[[bytes], Iterator[_Row]]] = {JSON: _json_rows, NDJSON: _ndjson_rows, CSV: _csv_rows}
MEDIA_TYPES = tuple(_SPLITS)
