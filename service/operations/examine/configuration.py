"""Owns the checks of the settings: would the service start with them, and does it write to this database."""

import time
from collections.abc import Iterator, Sequence

from service.auth.access import start_refusal
from service.core.unavailable import StorageError
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, not_checked, ok, warning, worst_of, wrong
from service.operations.examine.http import NoAnswer
from service.operations.examine.operator_listener import SPOOLING, OperatorListener

_PROBE_SECONDS = 1.2  # readiness writes once a second at most
_ASK_SECONDS = 0.1


def settings(case: Case) -> Finding:
    """Check settings that could be read: would the service start with them, and is every name one of ours."""
    if refusal := start_refusal(case.settings.auth, case.settings.host, case.roster()):
        return wrong("settings", refusal, "With these settings the service does not start.")
    if case.unknown_settings:
        return warning(
            "settings",
            "; ".join(case.unknown_settings),
            "A misspelt setting has no effect: mend its name or remove it.",
        )
    return ok("settings", "valid; the service would start with them")


def same_database(case: Case, operators: Sequence[OperatorListener]) -> Iterator[Finding]:
    """Check whether the row that /readyz rewrites changes in this database: then the running process writes here."""
    if not operators:
        yield not_checked("same_database", "there is no running process to compare with")
    found = [[_same_database(case, operator)] for operator in operators]
    yield from worst_of(found, [operator.url for operator in operators])


def _same_database(case: Case, operator: OperatorListener) -> Finding:
    try:
        before = _probed_at(case)
        deadline = time.monotonic() + _PROBE_SECONDS
        last = False
        while not last:
            last = time.monotonic() >= deadline  # asked that late, readiness has to write anew
            readiness = operator.get("/readyz")
            if readiness.status != 200 or SPOOLING in readiness.text:  # noqa: PLR2004 - OK
                return not_checked(
                    "same_database", "the running process is not ready, or spools, so it writes to no database"
                )
            if _probed_at(case) != before:
                return ok("same_database", f"the running process writes to {case.database.name}")
            time.sleep(_ASK_SECONDS)
    except (NoAnswer, StorageError) as reason:
        return not_checked("same_database", str(reason))
    advice = "POSTBACK_DATABASE_URL here is not what the process was started with; or the file was replaced under it."
    return wrong("same_database", f"the running process is ready, and does not write to {case.database.name}", advice)


def _probed_at(case: Case) -> str | None:
    with case.audit() as audit:
        return audit.probed_at()
