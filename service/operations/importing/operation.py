"""Owns import: a file of postbacks, of any size, read row by row and sent down the straight line.

The ledger recognises its own rows when the same file is given again, and the book says by which rules they are judged,
so an import that was interrupted stores everything once.
"""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from typing import NamedTuple, Protocol

from service.core.judging import Manner
from service.core.moment import utc
from service.core.outcome import Family, Outcome
from service.core.postback import Postback, RawPostback, Rejection
from service.core.unavailable import StorageError
from service.core.verdict import Understood, Verdict
from service.intake_parsing import Rows
from service.operations.errors import Ended
from service.operations.files.row_file import Advance
from service.operations.importing.file import ImportFile
from service.operations.importing.mistakes import Mistaken, Mistakes
from service.operations.importing.report import ACCEPTED, Report, ReportPlace
from service.operations.own_line import AHEAD, rehearsing, storing, vouched
from service.operations.sole_writer import sole_writer
from service.storage.database import Database
from service.storage.guard import Held
from service.storage.imports import Imports
from service.storage.ledger import Ledger

_LOOKED_AT = 20  # rows of a file that nobody noted: whether an earlier version has stored them
_SWITCH_SECONDS = 0.0005  # between two threads that both have work: the usual 5 ms are as long as a whole commit
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


class UnderWay(Ended):
    """Another import of the same file is under way."""


class OtherRules(Ended):
    """A version that noted no rules has imported some of the file, and by other ones than the sender's present ones."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the rows of a file, by outcome; only foreseen unless it is `done`.

    `resumed_after` is after how many rows an earlier import was gone on with, `report` where rows are told. `rules_of`
    is when the import was begun, if the sender's rules have changed since: those of then apply. `read_as` says how a
    spreadsheet was read. `mistakes` are those of accepted rows, the most frequent first. Without values, no column
    of it is read as the value.
    """

    request_id: str
    outcomes: Counter[str]
    done: bool = False
    resumed_after: int = 0
    report: ReportPlace | None = None
    rules_of: datetime | None = None
    read_as: str | None = None
    mistakes: Mapping[str, Mistaken] = field(default_factory=dict)
    has_values: bool = True

    @property
    def rejected(self) -> int:
        """How many rows were rejected."""
        words = {outcome.value for outcome in Outcome if outcome.family is Family.REJECTED}
        return sum(count for word, count in self.outcomes.items() if word in words)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        report = self.report and str(self.report.path)
        done: dict[str, object] = {"resumed_after": self.resumed_after} if self.done else {}
        done |= {"report": report} if self.done or report else {}
        counts = {"rows": self.outcomes.total(), "outcomes": dict(self.outcomes.most_common())}
        rules_of = self.rules_of and utc(self.rules_of)
        members = {"done": self.done, "request_id": self.request_id, **done, **counts, "rules_of": rules_of}
        mistakes = {name: found._asdict() for name, found in self.mistakes.items()}
        return {**members, "read_as": self.read_as, "mistakes": mistakes, "has_values": self.has_values}


class Begun(NamedTuple):
    """An import that was begun, now or before: by which rules, and in which manner its rows are written."""

    rows: ImportFile
    manner: Manner
    rules_of: datetime | None = None


async def import_file(
    database: Database, rows: ImportFile, report: ReportPlace, advance: Advance = lambda _: None
) -> ImportResult:
    """Store what is not in the report yet, each row once, and write into the report what became of them.

    Raises BeingServed, UnderWay, OtherRules, NoReport, StorageError, UnreadableFile, and OSError where the report
    cannot be written.
    """
    with sole_writer(database, "import") as ledger, database.imports().alone(rows.request_ids[0]) as held:
        if held is None:
            raise UnderWay("another import of this file is under way: wait for its end, and look into its report")
        begun = await begin_import(database, rows)
        with Report(report, begun.rows.request_id) as told:
            resumed_after = await import_rows(begun, database, ledger, told, advance, held=held)
    outcomes = Counter({outcome.value: count for outcome, count in told.tally.items()})
    return ImportResult(
        begun.rows.request_id,
        outcomes,
        done=True,
        resumed_after=resumed_after,
        report=report._replace(every=told.every),
        rules_of=begun.rules_of,
        read_as=begun.rows.read_as,
        mistakes=told.mistakes.summed(),
        has_values=rows.has_values,
    )


async def begin_import(database: Database, rows: ImportFile) -> Begun:
    """Note by which rules a file is judged, or find those by which it was before.

    Raises OtherRules, StorageError, UnreadableFile.
    """
    book = database.imports()
    begun = _as_begun(book, rows)
    begun.rows.assert_header()
    if begun.manner is Manner.AGAIN:
        return begun
    manner = Manner.AGAIN if await _was_begun_unnoted(database, rows) else Manner.NEW
    await asyncio.to_thread(book.begin, rows.to_begin(datetime.now(UTC)))
    return Begun(rows, manner)


def _as_begun(book: Imports, rows: ImportFile) -> Begun:
    """Return a file as it was begun before, or as it would be now."""
    before = min(book.begun(rows.request_ids), key=lambda file: file.begun_at, default=None)
    if before is None:
        return Begun(rows, Manner.NEW)
    again = rows.as_begun(before)
    return Begun(again, Manner.AGAIN, before.begun_at if again.caller != rows.caller else None)


async def import_rows(  # noqa: PLR0913 - all that takes part
    begun: Begun,
    database: Database,
    ledger: Ledger,
    report: ImportReport,
    advance: Advance = lambda _: None,
    *,
    held: Held = lambda: None,
) -> int:
    """Store what is not in the report yet, and return after how many rows that went on.

    Rows are committed in order, so where the report's last one is, all are. Where it is not, the report is of another
    database, or of this one before a backup was restored: everything is imported. Before each group it is asked whether
    nobody else may import the file (`held`). Raises StorageError, UnreadableFile.
    """
    rows = begun.rows
    if report.rows and not await _holds(database, rows, report.rows):
        report.start_over()
    gone_on_after = report.rows
    with _undisturbed(), closing(rows.groups(report.rows, advance)) as groups:
        async with storing(ledger, rows.caller, report.add, begun.manner) as intake:
            await intake.receive_rows(_while_held(groups, held), amend=rows.amend, ahead=AHEAD)
    return gone_on_after


def _while_held(groups: Iterator[Rows], held: Held) -> Iterator[Rows]:
    for rows in groups:
        held()
        yield rows


async def rehearse_import(
    database: Database, rows: ImportFile, advance: Advance = lambda _: None, report: ReportPlace | None = None
) -> ImportResult:
    """Foresee what parsing makes of each row: ACCEPTED, or the outcome of its rejection; tell it in a report.

    Raises UnreadableFile, NoReport, and OSError where the report cannot be written.
    """
    try:
        begun = _as_begun(database.imports(), rows)
    except StorageError:  # not there, or before its migration: then it was not begun
        begun = Begun(rows, Manner.NEW)
    rows = begun.rows
    rows.assert_header()
    counted: Counter[str] = Counter()
    mistakes = Mistakes()

    def told(raws: Sequence[RawPostback], understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        if written:
            written.add(raws, understood, verdicts)
        mistakes.add_all(counted.total() + 1, understood, verdicts)
        words = ((one.outcome.family, one.outcome.value) for one in verdicts)
        counted.update(ACCEPTED if family is Family.ACCEPTED else word for family, word in words)

    intake = rehearsing(None, vouched(rows.caller), told)
    foreseen = Report(report, rows.request_id, foreseen=True) if report else nullcontext()
    with foreseen as written, closing(rows.groups(advance=advance)) as groups:
        await intake.receive_rows(groups, amend=rows.amend)
    return ImportResult(
        rows.request_id,
        counted,
        report=report,
        rules_of=begun.rules_of,
        read_as=rows.read_as,
        mistakes=mistakes.summed(),
        has_values=rows.has_values,
    )


async def _was_begun_unnoted(database: Database, rows: ImportFile) -> bool:
    """Say whether a version before migration 0007, which noted no rules, has imported some of the file.

    What it rejected or found repeated is known by its request ids. What it stored is known by key, so these rows need
    the same rules, and the first rows are looked at for it. Raises OtherRules, StorageError, UnreadableFile.
    """
    traces = await asyncio.to_thread(database.imports().traces, rows.request_ids)
    known = await _understood(rows, rows.first(_LOOKED_AT))
    stored = await asyncio.to_thread(_own_conversions, database, known)
    if traces - {rows.request_id} or not all(stored.values()):
        raise OtherRules(
            f"{rows.path} was imported before, by a version that did not note by which rules: and the rules of sender"
            f" {rows.caller.sender.name} have changed since. Set them back, import it, and change them again then"
        )
    return bool(traces or stored)


async def _understood(rows: ImportFile, raws: Sequence[RawPostback]) -> list[Postback | Rejection]:
    """Return what today's rules make of some rows. Nothing is stored: a row out of turn could take a key."""
    found: list[Postback | Rejection] = []

    def told(_raws: object, understood: Sequence[Understood], _verdicts: object) -> None:
        found.extend(one for one in understood if not isinstance(one, Verdict))

    intake = rehearsing(None, vouched(rows.caller), told)
    await intake.receive_rows([Rows(raws, repeat(rows.caller))] if raws else [], amend=rows.amend)
    return found


def _own_conversions(database: Database, entries: Sequence[Postback | Rejection]) -> dict[str, bool]:
    """Return which of the entries are stored as conversions, and whether under the key that they have now."""
    history = database.history()
    stored = {}
    for one in entries:
        request_id = one.raw.request_id
        own = (it for it in history.arrivals(one.click_id or "") if it.request_id == request_id)
        if any(it.outcome is Outcome.STORED for it in own):
            holder = history.winners([one]).get(one.key) if isinstance(one, Postback) else None
            stored[request_id] = holder is not None and holder.request_id == request_id
    return stored


async def _holds(database: Database, rows: ImportFile, number: int) -> bool:
    """Say whether a row is in the database, as whatever. It is only asked: a row out of turn could take a key."""
    raw = rows.one(number)
    if raw is None:
        return False
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
