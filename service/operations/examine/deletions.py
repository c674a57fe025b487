"""Owns the checks of what is deleted: nothing of an erased click id is left, and each clock may be gone by."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from service.core.moment import minute
from service.core.program import PROGRAM
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, guarded, not_checked, ok, warning, wrong
from service.storage.deletions.clock import FAR

_NAMED = 5  # runs
_AHEAD = timedelta(days=1)  # believed moments of several replicas are apart by no more than their clocks


def check(case: Case) -> Iterator[Finding]:
    """Yield the findings; where it was asked for, this machine's clock is believed from now on."""
    yield from guarded(
        [
            ("erased_rows", partial(_erased_rows, case)),
            ("future_erasures", partial(_future_erasures, case)),
            ("retention_clock", partial(_accept_clock if case.choices.accept_clock else _clock, case)),
        ]
    )


def _erased_rows(case: Case) -> Finding:
    with case.audit() as audit:
        found = {table: rows for table, rows in audit.erased_rows().items() if rows}
    left = ", ".join(f"{rows} of {table}" for table, rows in found.items())
    sentence = f"{left} came before their click ids were erased" if found else "nothing that was erased is left"
    advice = "Written by an older version, or by hand: find their click ids by the hashes of `deletions`, erase again."
    return graded("erased_rows", sentence, advice, bad=bool(found), doubtful=False)


def _future_erasures(case: Case) -> Finding:
    with case.audit() as audit:
        found = audit.future_erasures()
    more = ", …" if len(found) > _NAMED else ""
    named = f"{len(found)} erasures are dated in the future: {', '.join(found[:_NAMED])}{more}"
    sentence = named if found else "every erasure is dated in the past"
    advice = "Until then their click ids' postbacks are refused, and what a spool holds of them is dropped: set "
    advice += "`deleted_at` of these runs in the table `deletion` to when it was really done."
    return graded("future_erasures", sentence, advice, bad=bool(found), doubtful=False)


def _clock(case: Case) -> Finding:
    with case.audit() as audit:
        now, believed = datetime.now(UTC), audit.trusted_at()
    if believed is None:
        return not_checked("retention_clock", "no clock was believed yet: the service notes one when it starts")
    sentence = f"the clock was last believed at {minute(believed)}, and says {minute(now)}"
    if now - believed > FAR:
        advice = f"Mend the clock, or, if it is right, run `{PROGRAM} doctor --accept-clock`."
        return wrong("retention_clock", f"nothing is deleted: {sentence}", advice)
    if believed - now > _AHEAD:
        advice = f"A clock was ahead then, or is behind now. When this one is right: `{PROGRAM} doctor --accept-clock`."
        return warning("retention_clock", sentence, advice)
    return ok("retention_clock", sentence)


def _accept_clock(case: Case) -> Finding:
    now = datetime.now(UTC)
    before = case.database.deletions().clock.accept(now)
    was = f"instead of {minute(before)}" if before else "for the first time"
    return ok("retention_clock", f"accepted: the clock is believed as of {minute(now)}, {was}; retention deletes by it")
