"""Owns how `doctor` prints: a line for each finding as it comes, and a summary."""

from rich.console import Console
from rich.text import Text

from service.core.harmless import visible
from service.operations.examine.examination import Report
from service.operations.examine.findings import Finding, State

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red", State.NOT_CHECKED: "dim"}
_STATE_WIDTH, _NAME_WIDTH = len("not checked"), 18


def print_nothing(_finding: Finding) -> None:
    """Wait for the end: one JSON object has all of it."""


def print_finding(finding: Finding) -> None:
    """Print one finding, and what to do about it."""
    state = f"{_words(finding.state):{_STATE_WIDTH}} "
    _print((state, _STYLES[finding.state]), (f" {finding.name:{_NAME_WIDTH}} {finding.sentence}", ""))
    if finding.advice and finding.state is not State.OK:
        _print((f"{'':{_STATE_WIDTH + _NAME_WIDTH + 3}}→ {finding.advice}", ""))


def print_summary(report: Report) -> None:
    """Print the rows by outcome, how many findings of each state there are, and the conclusion."""
    rows = ", ".join(f"{outcome} {number}" for outcome, number in report.rows.items())
    _print()
    _print((f"rows: {rows or 'none'}", ""))
    counts = report.counts
    states = ", ".join(f"{counts[state]} {_words(state)}" for state in State)
    conclusion = "Nothing is wrong" if report.healthy else "Something is wrong"
    _print((f"{conclusion}: {states}.", _STYLES[State.OK if report.healthy else State.WRONG]))


def _print(*parts: tuple[str, str]) -> None:
    """Print a line of texts, each with its style. Whatever stands in one stays on it, and can be seen."""
    line = Text.assemble(*((visible(text), style) for text, style in parts))
    Console(highlight=False, soft_wrap=True).print(line)


def _words(state: State) -> str:
    return state.replace("_", " ")
