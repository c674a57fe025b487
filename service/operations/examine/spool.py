"""Owns the checks of the spool: what waits there, since when, will it be drained, and is all of it there."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from service.core.unavailable import StorageError
from service.operations.examine import file_modes
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, not_checked, ok, unreadable, warning, wrong
from service.operations.examine.http import NoAnswer
from service.operations.examine.operator_listener import OperatorListener
from service.spool.ownership import Owner
from service.spool.places import journals
from service.spool.reading import Looked, in_use, look
from service.telemetry.metrics import catalogue

CHECKS = ("spool", "spool_orphans", "spool_database", "spool_private", "spool_counted")
_FILLING, _FULL = 0.5, 0.9
_DRAIN = "docs/spool.md says how to drain it by hand. Its postbacks were answered 200 and are in no database."


def check(case: Case, operators: Sequence[OperatorListener]) -> Iterator[Finding]:
    """Yield the findings; journals in SPOOL_DIR are checked even when no spool is in use."""
    try:
        paths = [path for _, path in journals(case.settings.spool_dir)]
        idle = {path for path in paths if not in_use(path)}  # before they are opened, as it says
        found = [look(path) for path in paths]
    except StorageError as error:
        yield unreadable("spool", error)
        yield from (not_checked(name, "a journal could not be read") for name in CHECKS[1:])
        return
    used = case.database.shared and case.settings.spool == "on"
    left = [one for one in found if one.entries and one.path in idle]
    served = used and len(idle) < len(paths)
    others, database = _database(case, found) if used else ([], ok("spool_database", "no spool is in use"))
    yield (_given_up(operators, others) or _own(case, found, left, served=served)) if used else _unused(case)
    yield _orphans(left, others, served=served)
    yield database
    yield file_modes.check("spool_private", paths)
    yield _counted(found, operators) if used else ok("spool_counted", "no spool is in use")


def _unused(case: Case) -> Finding:
    if case.database.shared:
        return ok("spool", "off: while the database is away, postbacks are answered 503")
    return ok("spool", "none: SQLite has no use for one")


def _given_up(operators: Sequence[OperatorListener], others: list[Looked]) -> Finding | None:
    """Return the finding that a process uses its journal no more, None if none says so."""
    told = [operator.url for operator in operators if _gave_up(operator)]
    if not told:
        return None
    reason = "there is another database's journal" if others else "its log's line spool_broken says why"
    sentence = f"{', '.join(told)}: this process does not use its spool: {reason}"
    return wrong("spool", sentence, "What waits in it stays there: PostbackSpoolUnusable in the runbook has the steps.")


def _gave_up(operator: OperatorListener) -> bool:
    try:
        scrape = operator.scrape()
    except NoAnswer:
        return False
    usable, capacity = (scrape.total(it.name) for it in (catalogue.SPOOL_USABLE, catalogue.SPOOL_CAPACITY_BYTES))
    return capacity > 0 and not usable


def _own(case: Case, own: list[Looked], left: list[Looked], *, served: bool) -> Finding:
    if not own:
        advice = "The service makes it when it starts: start it, or mend POSTBACK_SPOOL_DIR."
        return warning("spool", f"there is no journal in {case.settings.spool_dir.absolute()}", advice)
    entries, fill = sum(one.entries for one in own), max(one.taken for one in own) / case.settings.spool_max_bytes
    age = max((_age(one) for one in own), default=0.0)
    sentence = f"{entries} postbacks wait, the oldest for {age:,.0f} s; {fill:.0%} of the room is taken"
    if left:
        sentence += f"; nobody has {', '.join(str(one.path) for one in left)} open"
    advice = "The database is away, or the drain is stuck: see PostbackSpooling in the runbook."
    bad = fill > _FULL or (bool(left) and not served)
    return graded("spool", sentence, advice, bad=bad, doubtful=entries > 0 or fill > _FILLING)


def _age(one: Looked) -> float:
    return (datetime.now(UTC) - one.oldest_at).total_seconds() if one.oldest_at else 0.0


def _orphans(left: list[Looked], others: list[Looked], *, served: bool) -> Finding:
    if not left:
        return ok("spool_orphans", "no journal is left over that anything waits in")
    if served and (lost := [one for one in left if one in others]):
        sentence = ", ".join(f"{one.entries} postbacks in {one.path}" for one in lost)
        advice = "It is for another database: see spool_database."
        return wrong("spool_orphans", f"no process with this SPOOL_DIR drains {sentence}", advice)
    sentence = ", ".join(f"{one.entries} postbacks in {one.path}" for one in left)
    if served:
        advice = "A process of this SPOOL_DIR drains it, once the database is there; if not, its log says why."
        return warning("spool_orphans", f"whose process has ended: {sentence}", advice)
    return wrong("spool_orphans", f"no process with this SPOOL_DIR drains {sentence}", _DRAIN)


def _database(case: Case, found: list[Looked]) -> tuple[list[Looked], Finding]:
    """Return the journals for other databases, and the finding about them."""
    try:
        identity = case.database.spooling().identity()
    except StorageError as error:
        return [], unreadable("spool_database", error)
    ours = Owner(identity, case.database.name)
    others = [one for one in found if not one.owner.is_for(ours)]
    if not others:
        return [], ok("spool_database", "every journal is for this database, or not yet for any")
    sentence = ", ".join(f"{one.path} ({one.entries} wait) for {one.owner}" for one in others)
    advice = "Give each database a POSTBACK_SPOOL_DIR of its own: PostbackSpoolUnusable in the runbook has the steps."
    return others, wrong("spool_database", f"this database is {identity}, and there is {sentence}", advice)


def _counted(own: list[Looked], operators: Sequence[OperatorListener]) -> Finding:
    """Compare with the process's own count; with several workers, each answers for its own journal only."""
    if len(operators) != 1 or len(own) != 1:
        return not_checked("spool_counted", "there is not one running process with one journal to compare")
    (operator,) = operators
    try:
        before = operator.scrape()
        entries = look(own[0].path).entries
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
