"""Owns the checks of the spool: what waits there, since when, will it be drained, and is all of it there."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from service.core.unavailable import StorageError
from service.operations.examine import file_modes
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, not_checked, ok, unreadable, warning, wrong
from service.operations.examine.http import NoAnswer
from service.operations.examine.operator_listener import OperatorListener
from service.spool.reading import Looked, journals, look
from service.telemetry.metrics import catalogue

CHECKS = ("spool", "spool_orphans", "spool_private", "spool_counted")
_FILLING, _FULL = 0.5, 0.9
_DRAIN = "docs/spool.md says how to drain it by hand. Its postbacks were answered 200 and are in no database."


def check(case: Case, operators: Sequence[OperatorListener]) -> Iterator[Finding]:
    """Yield the findings; journals in SPOOL_DIR are checked even when no spool is in use."""
    try:
        found = [look(worker, path) for worker, path in journals(case.settings.spool_dir)]
    except StorageError as error:
        yield unreadable("spool", error)
        yield from (not_checked(name, "a journal could not be read") for name in CHECKS[1:])
        return
    used = case.database.shared and case.settings.spool == "on"
    own = [one for one in found if used and one.worker <= case.settings.workers]
    yield _own(case, own) if used else _unused(case)
    yield _orphans([one for one in found if one not in own])
    yield file_modes.check("spool_private", [one.path for one in found])
    yield _counted(own, operators) if used else ok("spool_counted", "no spool is in use")


def _unused(case: Case) -> Finding:
    if case.database.shared:
        return ok("spool", "off: while the database is away, postbacks are answered 503")
    return ok("spool", "none: SQLite has no use for one")


def _own(case: Case, own: list[Looked]) -> Finding:
    if not own:
        advice = "The service makes it when it starts: start it, or mend POSTBACK_SPOOL_DIR."
        return warning("spool", f"there is no journal in {case.settings.spool_dir.absolute()}", advice)
    entries, fill = sum(one.entries for one in own), max(one.taken for one in own) / case.settings.spool_max_bytes
    age = max((_age(one) for one in own), default=0.0)
    idle = [one for one in own if not one.in_use]
    sentence = f"{entries} postbacks wait, the oldest for {age:,.0f} s; {fill:.0%} of the room is taken"
    if idle:
        sentence += f"; nobody has {', '.join(str(one.path) for one in idle)} open"
    advice = "The database is away, or the drain is stuck: see PostbackSpooling in the runbook."
    bad = fill > _FULL or any(one.entries for one in idle)
    return graded("spool", sentence, advice, bad=bad, doubtful=entries > 0 or fill > _FILLING)


def _age(one: Looked) -> float:
    return (datetime.now(UTC) - one.oldest_at).total_seconds() if one.oldest_at else 0.0


def _orphans(others: list[Looked]) -> Finding:
    left = [one for one in others if one.entries]
    if not left:
        return ok("spool_orphans", "no journal is left over that anything waits in")
    sentence = ", ".join(f"{one.entries} postbacks in {one.path}" for one in left)
    return wrong("spool_orphans", f"no worker of these settings drains {sentence}", _DRAIN)


def _counted(own: list[Looked], operators: Sequence[OperatorListener]) -> Finding:
    """Compare with the process's own count; with several workers, each answers for its own journal only."""
    if len(operators) != 1 or len(own) != 1:
        return not_checked("spool_counted", "there is not one running process with one journal to compare")
    (operator,) = operators
    try:
        before = operator.scrape()
        entries = look(own[0].worker, own[0].path).entries
        after = operator.scrape()
    except (NoAnswer, StorageError) as reason:
        return not_checked("spool_counted", str(reason))
    counts = [scrape.total(catalogue.SPOOL_ENTRIES.name) for scrape in (before, after)]
    moved = sum(after.total(name) - before.total(name) for name in _MOVES)
    low, high = min(counts) - moved, max(counts) + moved + after.total(catalogue.IN_PROGRESS.name)
    sentence = f"{entries} in the file, {counts[0]:.0f} to {counts[1]:.0f} by the process's count"
    advice = "Entries are lost or forged (law 5): keep a copy of the journal and the log."
    return graded("spool_counted", sentence, advice, bad=not low <= entries <= high, doubtful=False)


_MOVES = (catalogue.SPOOL_DRAINED.name, catalogue.ARRIVED.name)
