"""Owns import: a file of postbacks, of any size, read row by row, judged by today's rules and sent on to the ledger.

What a row is called follows from what the file holds and from the row's number, so the ledger recognises its own rows
when the same file is given again, and an import that was interrupted stores everything once.
"""

import gc
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

from service.core.batch import CSV, JSON, MAX_HEADER_BYTES, row_postbacks
from service.core.chunk import portion
from service.core.decoding import decode_csv, decode_json, decode_moment
from service.core.mistakes import rejection_of
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback, Rejection
from service.core.sender import EZMOB, Sender
from service.core.verdict import Verdict
from service.operations.row_file import Advance, RowFile, UnreadableFile
from service.storage.ledger import MAX_BATCH, Committed, Ledger

_AT_ONCE = 2  # groups: one is being committed while the next is parsed
_SWITCH_SECONDS = 0.0005  # between two threads that both have work: the usual 5 ms are as long as a whole commit
_AHEAD = timedelta(minutes=5)  # what another machine's clock may be ahead of ours; more is a mistake in the file
_GARBAGE_OBJECTS = 100_000  # made, before the collector looks: the usual 700 are a fraction of a group


class Durable(NamedTuple):
    """A group that is durable, with a verdict for each row."""

    entries: list[Postback | Rejection]
    verdicts: list[Verdict]


class ImportFile:
    """A file to import. To make one is to read it once, for its digest. Raises UnreadableFile.

    `request_id` is what its rows are called, before their `-1`, `-2` and so on; `size` its bytes, unpacked.
    `moment_column` names the column that says when each postback was received; without one it is now.
    """

    def __init__(
        self,
        file: RowFile,
        moment_column: str | None = None,
        advance: Advance = lambda _: None,
        sender: Sender = EZMOB,
    ) -> None:
        self.form = file.form
        self._file = file
        self._column = moment_column
        self._sender = sender
        self._state = file.state()
        self._header = file.header()
        if moment_column is not None and moment_column in sender.fields:
            raise UnreadableFile(f"{moment_column} is the postback's {sender.fields[moment_column]}, and no time")
        if file.form == "csv":
            _assert_header(self._header, moment_column, sender)
        how = f"import {file.form} {sender.name} {sender.numbers} {moment_column or ''}\n"
        self.request_id, self.size = file.digest(how, advance)

    def groups(self, first: int = 0, advance: Advance = lambda _: None) -> Generator[list[Postback | Rejection]]:
        """Yield the rows after the first so many, parsed, as many at once as a ledger takes. Raises UnreadableFile."""
        raw = _raw(self._file, self.request_id)
        with self._file.rows(advance) as rows:
            rest = islice(rows, first + (self._file.form == "csv"), None)
            while some := portion(rest, MAX_BATCH, len)[0]:
                raws = row_postbacks(raw, self._header, some, first)
                yield [_understood(it, self._column, self._sender) for it in raws]
                first += len(some)
        if self._file.state() != self._state:
            raise UnreadableFile(f"{self._file.path} was changed while it was being read: give it again")

    def one(self, number: int) -> Postback | Rejection:
        """Return the row with this number. Raises UnreadableFile."""
        with closing(self.groups(number - 1)) as groups:
            return next(groups)[0]


def carry_out(groups: Iterable[list[Postback | Rejection]], ledger: Ledger) -> Generator[Durable]:
    """Yield each group when it is durable, in order, while the next is being parsed. Raises StorageError."""
    under_way: deque[tuple[list[Postback | Rejection], Future[Committed]]] = deque()
    with _undisturbed(), ThreadPoolExecutor(1) as thread:
        for group in groups:
            under_way.append((group, thread.submit(ledger.commit, group)))
            if len(under_way) == _AT_ONCE:
                yield _durable(*under_way.popleft())
        while under_way:
            yield _durable(*under_way.popleft())


def _durable(group: list[Postback | Rejection], committing: Future[Committed]) -> Durable:
    return Durable(group, committing.result().verdicts)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let two threads take turns fast, and look for garbage seldom: rows are many, and none refers to itself."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_GARBAGE_OBJECTS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


def _raw(file: RowFile, request_id: str) -> RawPostback:
    """Return what all rows of a file have in common; the path says in which file a rejected row stood."""
    return RawPostback(
        door="import",
        method="IMPORT",
        path=f"/{quote(file.path.name)}",
        query=b"",
        content_type=CSV if file.form == "csv" else JSON,
        content_encoding="",
        body=b"",
        complete=True,
        host=b"",
        forwarded=False,
        client_ip="",
        received_at=datetime.now(UTC),
        request_id=request_id,
        trace_id=request_id,
    )


def _assert_header(header: bytes, moment_column: str | None, sender: Sender) -> None:
    """Refuse a file of which no row could be accepted, rather than keep millions of rejections."""
    if len(header) > MAX_HEADER_BYTES:
        raise UnreadableFile(f"the header has more than {MAX_HEADER_BYTES} bytes, with which each rejected row is kept")
    try:
        names = [name for name, _ in decode_csv(header + b"\n" + header)]
    except Rejected as refused:
        raise UnreadableFile(f"the first line is no header of CSV: {refused.detail}") from None
    missing = sorted(sender.required.difference(field for name in names if (field := sender.fields.get(name))))
    wanted = {field: " or ".join(name for name, named in sender.fields.items() if named == field) for field in missing}
    lines = [f"no column is called {names} ({field})" for field, names in wanted.items()]
    if moment_column is not None and moment_column not in names:
        lines.append(f"no column is called {moment_column}")
    if lines:
        raise UnreadableFile(f"{'; '.join(lines)}; the header is {', '.join(names)[:400]!a}")


def _understood(raw: RawPostback, column: str | None, sender: Sender) -> Postback | Rejection:
    try:
        postback = parse(raw, sender)
        if column is None:
            return postback
        return postback._replace(raw=raw._replace(received_at=_moment(postback.params.get(column), column, raw)))
    except Rejected as refused:
        rejection = rejection_of(raw, sender, refused)
        return rejection if column is None else _dated(rejection, column)


def _moment(text: str | list[str] | None, column: str, raw: RawPostback) -> datetime:
    """Return the moment that a row names. Raises `Rejected`: it names none, or one that cannot have been yet."""
    if not isinstance(text, str):
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is {'there more than once' if text else 'absent'}")
    try:
        moment = decode_moment(text)
    except ValueError as error:
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is {error}") from None
    if moment > raw.received_at + _AHEAD:
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is more than 5 minutes in the future: {text[:40]!a}")
    return moment


def _dated(rejection: Rejection, column: str) -> Rejection:
    """Return a rejected row with its own moment, where that can be read: a replay keeps it."""
    raw = rejection.raw
    try:
        pairs = decode_csv(raw.body) if raw.content_type == CSV else decode_json(raw.body)
        return replace(rejection, raw=raw._replace(received_at=_moment(dict(pairs).get(column), column, raw)))
    except Rejected:
        return rejection
