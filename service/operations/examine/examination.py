"""Owns the examination: the order of all checks, and the report that they make."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from service.operations.examine import (
    clocks,
    configuration,
    conservation,
    database,
    deletions,
    histories,
    keys,
    operator_listener,
    public_listener,
    spool,
)
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, State

Progress = Callable[[Finding], object]


class Summary(TypedDict):
    """The JSON object of a report; `rows` are the stored rows by outcome."""

    healthy: bool
    wrong: int
    warnings: int
    not_checked: int
    rows: Mapping[str, int]
    checks: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All findings in the order of the checks, and the stored rows by outcome."""

    findings: tuple[Finding, ...]
    rows: Mapping[str, int]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong; there may be warnings."""
        return not self.counts[State.WRONG]

    @property
    def counts(self) -> Counter[State]:
        """How many findings there are of each state."""
        return Counter(finding.state for finding in self.findings)

    def summary(self) -> Summary:
        """Return all of it as one object."""
        counts = self.counts
        return {
            "healthy": self.healthy,
            "wrong": counts[State.WRONG],
            "warnings": counts[State.WARNING],
            "not_checked": counts[State.NOT_CHECKED],
            "rows": self.rows,
            "checks": self.findings,
        }


def examine(case: Case, progress: Progress) -> Report:
    """Make every check and return the report; `progress` is called with each finding as it comes."""
    findings: list[Finding] = []

    def take(found: Iterable[Finding]) -> None:
        for finding in found:
            findings.append(finding)
            progress(finding)

    take([configuration.settings(case)])
    operators, reached = operator_listener.reach(case)
    take([reached])
    take(configuration.same_database(case, operators))
    take(operator_listener.check(operators))
    take(database.check(case))
    take(keys.check(case))
    rows, compared = conservation.check(case, operators)
    take(compared)
    take(histories.check(case))
    take(deletions.check(case))
    take(spool.check(case, operators))
    take([clocks.check_clock()])
    take(clocks.check_certificate(case, operators))
    take(public_listener.check(case, {operator.process for operator in operators}))
    return Report(tuple(findings), rows)
