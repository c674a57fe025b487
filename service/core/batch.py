"""Owns how the body of a batch becomes rows: each one a raw postback of its own, with the bytes that were sent.

Pure: rows are not parsed here. A body that cannot be split is rejected as a whole, and then it has no rows.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice, repeat

from service.core.bodies import CSV, JSON, NDJSON, UNSAID, content_type_of, reject_charset
from service.core.chunk import next_chunk
from service.core.decompression import unpack
from service.core.outcome import Outcome, Rejected
from service.core.parameters import MAX_BODY_BYTES
from service.core.postback import MAX_KEPT_BYTES, RawPostback
from service.core.redaction import may_hold_secrets, redact
from service.core.rows import csv_rows_of, json_rows_of, ndjson_rows_of

MAX_ROWS = 50_000
MAX_ATOMIC_ROWS = 5_000  # all or none: they go into one commit, and everybody else waits for it (docs/batch.md)
MAX_BYTES = 16 * 2**20  # of a body, as it is sent and as it is without compression
MAX_ATOMIC_BYTES = 2 * 2**20  # of all its rows, for the same reason
MAX_HEADER_BYTES = 2 * 1024  # of CSV: it goes with each row until it is stored
_AT_ONCE = 512  # rows that are looked through for secrets together
_MOST_READ = 2 * MAX_BODY_BYTES  # of a row: a longer one is rejected, and its beginning kept


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

    def groups(self, most: int, most_bytes: int) -> Iterator[list[RawPostback]]:
        """Yield all rows as raw postbacks, a few at a time: so many at most, and fewer where they are large.

        All at once, a header of CSV in 50,000 of them would be a hundred megabytes.
        """
        rows, first = iter(self.rows), 0
        while some := next_chunk(rows, most, len, most_bytes)[0]:
            yield self._as_postbacks(some, first)
            first += len(some)

    def postbacks(self) -> list[RawPostback]:
        """Return all rows as raw postbacks, their header before each; request_ids end in `-1`, `-2` and so on."""
        return self._as_postbacks(self.rows, 0)

    def _as_postbacks(self, rows: Sequence[bytes], first: int) -> list[RawPostback]:
        raw = self.raw._replace(content_type=self.media_type)
        return row_postbacks(raw, self.header, rows, first)


_AS_RAW = partial(tuple.__new__, RawPostback)  # `_make` is a Python function, and rows are many
_BODY, _REQUEST_ID = RawPostback._fields.index("body"), RawPostback._fields.index("request_id")


def row_postbacks(raw: RawPostback, header: bytes, rows: Sequence[bytes], first: int) -> list[RawPostback]:
    """Return rows as raw postbacks like `raw`, the header of CSV before each; the first one's number is `first` + 1.

    Both come without secrets.
    """
    head = header + b"\n" if header else b""
    columns: list[Iterable[object]] = [*map(repeat, raw)]
    columns[_BODY] = (head + row for row in rows) if head else rows
    columns[_REQUEST_ID] = (f"{raw.request_id}-{number}" for number in count(first + 1))
    return [*map(_AS_RAW, zip(*columns, strict=False))]  # zip ends with the rows


def redacted(rows: Sequence[bytes]) -> Sequence[bytes]:
    """Return rows without secrets. What holds some takes long, so it is no work for the event loop."""
    return [redact(row[:_MOST_READ]) for row in rows] if may_hold_secrets(b"\n".join(rows)) else rows


def as_kept(raw: RawPostback) -> RawPostback:
    """Return a batch as it is kept when it is rejected as a whole: its beginning, with secrets redacted."""
    body = redact(raw.body[:MAX_KEPT_BYTES])
    return raw._replace(body=body, complete=raw.complete and len(raw.body) <= MAX_KEPT_BYTES)


def split_batch(raw: RawPostback) -> Batch:
    """Split a batch into its rows, without secrets. Raises `Rejected` for the whole batch."""
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
    clean = [row for first in range(0, len(rows), _AT_ONCE) for row in redacted(rows[first : first + _AT_ONCE])]
    return Batch(bare, CSV if headed else JSON, redact(header), clean, atomic)


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


_SPLITS: dict[str, Callable[[bytes], Iterator[bytes]]] = {JSON: json_rows_of, NDJSON: ndjson_rows_of, CSV: csv_rows_of}
MEDIA_TYPES = tuple(_SPLITS)
