"""Owns import: a file of postbacks, of any size, read row by row and sent down the straight line.

What a row is called follows from what the file holds and from the row's number, so the ledger recognises its own rows
when the same file is given again, and an import that was interrupted stores everything once.
"""

import gc
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from service.auth.authenticator import Caller
from service.core.batch import CSV, JSON, MAX_HEADER_BYTES, row_postbacks
from service.core.chunk import CHUNK_BYTES, next_chunk
from service.core.decoding import decode_csv, decode_json, decode_moment
from service.core.mistakes import rejection_of
from service.core.outcome import Family, Outcome, Rejected
from service.core.postback import Postback, RawPostback, Rejection
from service.core.sender import EZMOB, Sender
from service.core.verdict import Understood, Verdict
from service.intake import Rows
from service.operations.import_report import Report, ReportForm
from service.operations.own_line import AHEAD, rehearsing, storing, vouched
from service.operations.row_file import Advance, RowFile, UnreadableFile
from service.operations.sole_writer import sole_writer
from service.storage.database import Database
from service.storage.ledger import MAX_BATCH, Ledger

ACCEPTED = "accepted"  # all that parsing can say of a row that would be stored, a duplicate or a conflict
_SWITCH_SECONDS = 0.0005  # between two threads that both have work: the usual 5 ms are as long as a whole commit
_AHEAD = timedelta(minutes=5)  # what another machine's clock may be ahead of ours; more is a mistake in the file
_GARBAGE_OBJECTS = 100_000  # made, before the collector looks: the usual 700 are a fraction of a group


class ImportReport(Protocol):
    """Where it is told what became of each row; `rows` says how many it knows of already."""

    rows: int

    def add(
        self, raws: Sequence[RawPostback], understood: Sequence[Understood], verdicts: Sequence[Verdict], /
    ) -> None:
        """Tell of the rows that follow, which are durable."""

    def start_over(self) -> None:
        """Forget all."""


class ImportFile:
    """A file to import. To make one is to read it once, for its digest. Raises UnreadableFile.

    `request_id` is what its rows are called, before their `-1`, `-2` and so on; `size` its bytes, unpacked.
    `moment_column` names the column that says when each postback was received; without one it is now. `group_rows` is
    how many rows are stored together.
    """

    def __init__(
        self,
        file: RowFile,
        moment_column: str | None = None,
        advance: Advance = lambda _: None,
        sender: Sender = EZMOB,
        *,
        group_rows: int = MAX_BATCH,
    ) -> None:
        self.form = file.form
        self.caller = Caller(sender)
        self.amend = _Dating(moment_column, sender) if moment_column is not None else None
        self._file = file
        self._group_rows = group_rows
        self._state = file.state()
        self._header = file.header()
        if moment_column is not None and moment_column in sender.fields:
            raise UnreadableFile(f"{moment_column} is the postback's {sender.fields[moment_column]}, and no time")
        if file.form == "csv":
            _assert_header(self._header, moment_column, sender)
        how = f"import {file.form} {sender.name} {sender.numbers} {moment_column or ''}\n"
        self.request_id, self.size = file.digest(how, advance)

    def groups(
        self, first: int = 0, advance: Advance = lambda _: None, most_bytes: int = CHUNK_BYTES
    ) -> Generator[Rows]:
        """Yield the rows after the first so many, as many at once as are stored together. Raises UnreadableFile.

        These are fewer than `group_rows` where they have `most_bytes`.
        """
        raw = _raw(self._file, self.request_id)
        with self._file.rows(advance) as rows:
            rest = islice(rows, first + (self._file.form == "csv"), None)
            while some := next_chunk(rest, self._group_rows, len, most_bytes)[0]:
                yield Rows(row_postbacks(raw, self._header, some, first), repeat(self.caller))
                first += len(some)
        if self._file.state() != self._state:
            raise UnreadableFile(f"{self._file.path} was changed while it was being read: give it again")

    def one(self, number: int) -> RawPostback:
        """Return the row with this number. Raises UnreadableFile."""
        with closing(self.groups(number - 1)) as groups:
            return next(groups).raws[0]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the rows of a file, by outcome; only foreseen unless it is `done`.

    `resumed_after` is after how many rows an earlier import was gone on with, `report` where each row is told.
    """

    request_id: str
    outcomes: Counter[str]
    done: bool = False
    resumed_after: int = 0
    report: Path | None = None

    @property
    def rejected(self) -> int:
        """How many rows were rejected."""
        words = {outcome.value for outcome in Outcome if outcome.family is Family.REJECTED}
        return sum(count for word, count in self.outcomes.items() if word in words)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        done = {"resumed_after": self.resumed_after, "report": str(self.report)} if self.done else {}
        counts = {"rows": self.outcomes.total(), "outcomes": dict(self.outcomes.most_common())}
        return {"done": self.done, "request_id": self.request_id, **done, **counts}


async def import_file(
    database: Database, rows: ImportFile, report: Path, form: ReportForm, advance: Advance = lambda _: None
) -> ImportResult:
    """Store what is not in the report yet, each row once, and write what became of each into the report.

    Raises BeingServed, NoReport, StorageError, UnreadableFile, and OSError where the report cannot be written.
    """
    with sole_writer(database, "import") as ledger, Report(report, form, rows.request_id) as told:
        resumed_after = await import_rows(rows, database, ledger, told, advance)
        outcomes = Counter({outcome.value: count for outcome, count in told.tally.items()})
    return ImportResult(rows.request_id, outcomes, done=True, resumed_after=resumed_after, report=report)


async def import_rows(
    rows: ImportFile, database: Database, ledger: Ledger, report: ImportReport, advance: Advance = lambda _: None
) -> int:
    """Store what is not in the report yet, and return after how many rows that went on.

    Rows are committed in order, so where the report's last one is, all are. Where it is not, the report is of another
    database, or of this one before a backup was restored: everything is imported. Raises StorageError, UnreadableFile.
    """
    if report.rows and not await _holds(database, rows, report.rows):
        report.start_over()
    gone_on_after = report.rows
    with _undisturbed(), closing(rows.groups(report.rows, advance)) as groups:
        async with storing(ledger, rows.caller, report.add) as intake:
            await intake.receive_rows(groups, amend=rows.amend, ahead=AHEAD)
    return gone_on_after


async def rehearse_import(rows: ImportFile, advance: Advance = lambda _: None) -> ImportResult:
    """Foresee what parsing makes of each row: ACCEPTED, or the outcome of its rejection. Raises UnreadableFile."""
    counted: Counter[str] = Counter()

    def told(_raws: object, _understood: object, verdicts: Sequence[Verdict]) -> None:
        words = ((one.outcome.family, one.outcome.value) for one in verdicts)
        counted.update(ACCEPTED if family is Family.ACCEPTED else word for family, word in words)

    intake = rehearsing(None, vouched(rows.caller), told)
    with closing(rows.groups(advance=advance)) as groups:
        await intake.receive_rows(groups, amend=rows.amend)
    return ImportResult(rows.request_id, counted)


async def _holds(database: Database, rows: ImportFile, number: int) -> bool:
    """Say whether a row is in the database, as whatever. It is only asked: a row out of turn could take a key."""
    raw = rows.one(number)
    click_ids: list[str | None] = []

    def told(_raws: object, understood: Sequence[Understood], _verdicts: object) -> None:
        click_ids.extend(one.click_id for one in understood if not isinstance(one, Verdict))

    await rehearsing(None, vouched(rows.caller), told).receive(raw)
    arrivals = [it for name in click_ids if name is not None for it in database.history().arrivals(name)]
    if any(it.request_id == raw.request_id for it in arrivals):
        return True
    return database.quarantine().one(raw.request_id) is not None


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


class _Dating:
    """Gives each row the moment that its own column names."""

    def __init__(self, column: str, sender: Sender) -> None:
        self._column = column
        self._sender = sender

    def __call__(self, one: Understood) -> Understood:
        """Return the row with its moment; one that names none that can be is rejected."""
        match one:
            case Postback():
                try:
                    return one._replace(raw=self._dated(one.raw, one.params.get(self._column)))
                except Rejected as refused:
                    return self._rejected(rejection_of(one.raw, self._sender, refused))
            case Rejection():
                return self._rejected(one)
            case _:
                return one

    def _rejected(self, rejection: Rejection) -> Rejection:
        """Return a rejected row with its own moment, where that can be read: a replay keeps it."""
        raw = rejection.raw
        try:
            pairs = decode_csv(raw.body) if raw.content_type == CSV else decode_json(raw.body)
            return replace(rejection, raw=self._dated(raw, dict(pairs).get(self._column)))
        except Rejected:
            return rejection

    def _dated(self, raw: RawPostback, text: str | list[str] | None) -> RawPostback:
        return raw._replace(received_at=_moment(text, self._column, raw))


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
