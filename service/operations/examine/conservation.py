"""Owns the checks of law 5 against the tables: every row that was counted is there, and no row that was not.

The rows of one process are known by their request ids: all of them begin with the same 16 hex digits, and so does the
id of every answer it gives, the metrics page's included. So neither clocks nor other processes disturb the comparison.
The counters are read before and after the moment whose rows are counted; what came in between is the tolerance.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.operations.examine.case import Case
from service.operations.examine.comparison import Comparison
from service.operations.examine.findings import (
    Finding,
    graded,
    guarded,
    not_checked,
    ok,
    unreadable,
    warning,
    worst_of,
    wrong,
)
from service.operations.examine.http import NoAnswer
from service.operations.examine.operator_listener import OperatorListener, Scrape
from service.spool.reading import own_entries
from service.storage.audit import TABLES, Counts, Window, of_table, unknown_outcomes
from service.telemetry.metrics import catalogue

COMPARED = ("rows_counted", "outcomes_counted", "foreign_rows")
_OF_ROWS = (*COMPARED, "future_rows", "times", "known_outcomes", "disk_lasts")
CHECKS = (*_OF_ROWS, "orphans", "repeated_keys", "one_outcome")
_ANSWERED = (catalogue.RECEIVED.name, catalogue.TEST_RECEIVED.name)
_STARTED = "process_start_time_seconds"
_START_MARGIN = timedelta(seconds=2)  # the system tells a process's start to about a second
_CLOCK_MARGIN = timedelta(seconds=2)
_TRIES = 3  # a commit may be durable a moment before it is counted
_BETWEEN_SECONDS = 0.1
_SORTED_ROWS = 1_000_000
_NAMED = 5  # rows
_FEW_DAYS, _SOME_DAYS = 2, 14
_ROW_BYTES = 250
_LONG_DAYS = 3650


def check(case: Case, operators: Sequence[OperatorListener]) -> tuple[dict[str, int], list[Finding]]:
    """Return the rows by outcome, and the findings: each process's own rows are compared with its own counters."""
    asked: Sequence[OperatorListener | None] = operators or [None]
    try:
        compared_all = [_compare(case, operator) for operator in asked]
        comparison = compared_all[-1][0]
        names = [operator.url if operator else "" for operator in asked]
        compared = worst_of([findings for _, findings in compared_all], names)
    except StorageError as error:
        return {}, [unreadable(name, error) for name in _OF_ROWS] + list(_laws(case, 0))
    rows = {outcome: found.rows for outcome, found in comparison.counts.items() if found.rows}
    return rows, [*compared, *_of_rows(case, comparison.counts), *_laws(case, sum(rows.values()))]


def _compare(case: Case, operator: OperatorListener | None) -> tuple[Comparison, list[Finding]]:
    try:
        comparison = _read_until_agreed(case, operator)
    except NoAnswer as reason:
        sentence = f"the counters could not be read twice: {reason}"
        return _read(case, None), [not_checked(name, sentence) for name in COMPARED]
    return comparison, list(_compared(case, comparison))


def _read_until_agreed(case: Case, operator: OperatorListener | None) -> Comparison:
    comparison = _read(case, operator)
    for _ in range(_TRIES - 1):
        if not _differences(comparison):
            break
        time.sleep(_BETWEEN_SECONDS)
        comparison = _read(case, operator)
    return comparison


def _read(case: Case, operator: OperatorListener | None) -> Comparison:
    before = operator.scrape() if operator else None
    waiting = own_entries(case.settings.spool_dir, before.process) if before and before.process else {}
    with case.audit() as audit:
        audit.pin()
        now = datetime.now(UTC)
        after = operator.scrape() if operator else None
        if before and after and before.process != after.process:
            raise NoAnswer("two different processes answered")
        return Comparison(audit.counts(_window(after, now)), before, after, waiting)


def _window(scrape: Scrape | None, now: datetime) -> Window:
    if scrape is None:
        return Window("", now, now + _CLOCK_MARGIN)
    started = datetime.fromtimestamp(scrape.total(_STARTED) or now.timestamp(), UTC)
    return Window(scrape.process, started + _START_MARGIN, now + _CLOCK_MARGIN)


def _differences(comparison: Comparison) -> dict[str, tuple[int, int]]:
    """Return by table the bounds of (rows - counter) that exclude 0."""
    found = {}
    for table in TABLES:
        rows = of_table(table, comparison.counts).written
        low, high = comparison.drift(rows, catalogue.ROWS_WRITTEN.name, table=table)
        if not low <= 0 <= high:
            found[table] = (low, high)
    return found


def _compared(case: Case, comparison: Comparison) -> Iterator[Finding]:
    if comparison.after is None:
        yield from (not_checked(name, "there is no running process to compare with") for name in COMPARED)
        return
    if not comparison.after.process:
        yield from (not_checked(name, "the process gives no request id to know its rows by") for name in COMPARED)
        return
    yield _rows_counted(comparison)
    yield _outcomes_counted(comparison)
    yield _foreign_rows(comparison, shared=case.database.shared)


def _rows_counted(comparison: Comparison) -> Finding:
    differences = _differences(comparison)
    own, deleted = (sum(getattr(found, name) for found in comparison.counts.values()) for name in ("own", "deleted"))
    older = sum(found.rows for found in comparison.counts.values()) - own
    if not differences:
        within = f", to within the {comparison.width()} that came meanwhile" if comparison.width() else ""
        gone = f" less {deleted} that were deleted (see `deletions`)" if deleted else ""
        counted = f"{own} of the running process, as many as it counted{gone}{within}"
        sentence = f"{counted}; {older} older ones have no counter left"
        return ok("rows_counted", sentence)
    sentence = "; ".join(_difference(table, *bounds) for table, bounds in differences.items())
    failed = comparison.after.total(catalogue.STORAGE_ERRORS.name) if comparison.after else 0
    if failed and all(low > 0 for low, _ in differences.values()):
        sentence += f", after {failed:.0f} failed commits, whose rows may have become durable all the same"
        return warning(
            "rows_counted", sentence, "Nothing is lost: their senders were told 503, a retry is a duplicate."
        )
    advice = "Rows are lost or forged (law 5): keep a copy of the file and the log, then see PostbackConservationDrift."
    return wrong("rows_counted", sentence, advice)


def _difference(table: str, low: int, high: int) -> str:
    if high < 0:
        return f"{table}: {-high} rows that the process wrote are missing"
    return f"{table}: {low} rows more than the process counted"


def _outcomes_counted(comparison: Comparison) -> Finding:
    faults = []
    for outcome in (outcome.value for outcome in Outcome if not outcome.our_fault and outcome is not Outcome.SPOOLED):
        counts = comparison.counts.get(outcome)
        own = counts.written + counts.dropped if counts else 0
        own += comparison.waiting.get(outcome, 0)
        low, high = comparison.drift(own, *_ANSWERED, catalogue.SPOOL_DRAINED.name, outcome=outcome)
        if high < 0:
            faults.append(f"{outcome}: {-high} answered, and not in the tables")
        elif low > comparison.excess():
            faults.append(f"{outcome}: {low} in the tables that nobody was answered")
    if (lost := _lost_from_the_spool(comparison)) > 0:
        faults.append(f"spooled: {lost} answered, and neither drained nor in the spool")
    advice = "What senders were told and what is kept differ (law 2): keep a copy of the file and the log."
    sentence = "; ".join(faults) or "every receipt and rejection that was answered has its row"
    return graded("outcomes_counted", sentence, advice, bad=bool(faults), doubtful=False)


def _lost_from_the_spool(comparison: Comparison) -> int:
    if comparison.before is None or comparison.after is None:
        return 0
    answered = sum(comparison.before.total(name, outcome=Outcome.SPOOLED.value) for name in _ANSWERED)
    drained = comparison.after.total(catalogue.SPOOL_DRAINED.name)
    return int(answered - drained) - comparison.waiting.get(Outcome.SPOOLED.value, 0)


def _foreign_rows(comparison: Comparison, *, shared: bool) -> Finding:
    if not (comparison.after and comparison.after.total(_STARTED)):
        return not_checked("foreign_rows", "the process does not tell when it started")
    foreign = sum(found.foreign for found in comparison.counts.values())
    if shared:
        return ok(
            "foreign_rows", f"{foreign} rows of other processes came since this one started: replicas write here too"
        )
    if foreign:
        advice = "SQLite has one writer: somebody wrote by hand, or restored older rows. Their request ids tell which."
        return wrong("foreign_rows", f"{foreign} rows came since the start that the process did not write", advice)
    return ok("foreign_rows", "nobody else wrote since the process started")


def _of_rows(case: Case, counts: Mapping[str, Counts]) -> Iterator[Finding]:
    future = sum(found.future for found in counts.values())
    sentence = f"{future} rows are from after now" if future else "no row is from after now"
    advice = (
        "A clock was wrong when they came, or is wrong now: see clock_sync, then docs/doctor.md (rows from after now)."
    )
    yield graded("future_rows", sentence, advice, bad=future > 0, doubtful=False)
    yield from guarded([("times", partial(_times, case, sum(found.out_of_bounds for found in counts.values())))])
    unknown = unknown_outcomes(counts)
    sentence = f"in rejected_postback: {', '.join(unknown)}" if unknown else "every row's outcome is one of ours"
    advice = "Written by hand or by a newer version: run that version's doctor."
    yield graded("known_outcomes", sentence, advice, bad=bool(unknown), doubtful=False)
    yield _disk_lasts(case, counts)


def _times(case: Case, number: int) -> Finding:
    if not number:
        return ok("times", "every row's time is between 2000 and 2100")
    with case.audit() as audit:
        named = [f"{table} {request_id}" for table in TABLES for request_id in audit.out_of_bounds(table, _NAMED)]
    more = ", …" if number > len(named[:_NAMED]) else ""
    advice = "An older version imported them; correct received_at by hand, or erase their click ids."
    sentence = f"{number} rows are from before 2000 or after 2099: {', '.join(named[:_NAMED])}{more}"
    return wrong("times", sentence, advice)


def _disk_lasts(case: Case, counts: Mapping[str, Counts]) -> Finding:
    space = case.database.space()
    if not space.capacity:
        return not_checked("disk_lasts", "how much room is left on the server is unknown here")
    rows = sum(found.rows for found in counts.values())
    daily = sum(found.last_day for found in counts.values())
    each = max(_ROW_BYTES, space.database / rows if rows >= _ROW_BYTES else 0)  # an almost empty file is all overhead
    days = space.free / (daily * each) if daily else _LONG_DAYS
    lasts = f"{days:,.0f} days" if days < _LONG_DAYS else "over 10 years"
    advice = "Make room, move the database, or keep less (docs/retention.md)."
    sentence = f"{daily} rows in the last day: at that rate the free space lasts {lasts}"
    return graded("disk_lasts", sentence, advice, bad=days < _FEW_DAYS, doubtful=days < _SOME_DAYS)


def _laws(case: Case, total: int) -> Iterator[Finding]:
    yield from guarded(
        [
            ("orphans", partial(_orphans, case)),
            ("repeated_keys", partial(_repeated_keys, case)),
            ("one_outcome", partial(_one_outcome, case, total)),
        ]
    )


def _orphans(case: Case) -> Finding:
    with case.audit() as audit:
        found = {outcome: number for outcome, number in audit.orphans().items() if number}
    sentence = ", ".join(
        f"{number} rows of {outcome} belong to a conversion that is gone" for outcome, number in found.items()
    )
    advice = "Conversions were deleted: restore them from a backup; their senders were told 200."
    sentence = sentence or "every duplicate, conflict, change of status and correction has its conversion"
    return graded("orphans", sentence, advice, bad=bool(found), doubtful=False)


def _repeated_keys(case: Case) -> Finding:
    with case.audit() as audit:
        found = audit.repeated_keys()
    sentence = f"{found} keys have several conversions" if found else "one key, one conversion"
    advice = "The table lost its primary key: see schema. Each of these was paid for twice."
    return graded("repeated_keys", sentence, advice, bad=found > 0, doubtful=False)


def _one_outcome(case: Case, total: int) -> Finding:
    if total > _SORTED_ROWS and not case.choices.deep:
        advice = "Ask with --deep, at a quiet time: it sorts them on the disk."
        return not_checked("one_outcome", f"{total} request ids are too many to compare", advice)
    with case.audit() as audit:
        found = audit.repeated_request_ids()
    sentence = f"{found} request ids have several rows" if found else "each request id has one row, so one outcome"
    advice = "Rows were copied by hand, or an id was given twice (law 2): compare them by request_id."
    return graded("one_outcome", sentence, advice, bad=found > 0, doubtful=False)
