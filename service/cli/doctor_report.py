"""Owns how `doctor` reports: a line for each finding as it comes, or one JSON object at the end."""

from collections import Counter
from collections.abc import Mapping

import orjson
import typer
from rich.console import Console
from rich.text import Text

from service.operations.examine.case import Finding, State

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red", State.NOT_CHECKED: "dim"}
_STATE_WIDTH, _NAME_WIDTH = len("not checked"), 18


class Report:
    """Gathers findings; shows them at once to a person, at the end to a program."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._findings: list[Finding] = []
        self._states: Counter[State] = Counter()
        self._console = Console(highlight=False, soft_wrap=True)

    def add(self, finding: Finding) -> None:
        """Take one finding."""
        self._findings.append(finding)
        self._states[finding.state] += 1
        if not self._as_json:
            self._console.print(_line(finding))
            if finding.advice and finding.state is not State.OK:
                self._console.print(Text(f"{'':{_STATE_WIDTH + _NAME_WIDTH + 3}}→ {_plain(finding.advice)}"))

    def count(self, state: State) -> int:
        """Return how many findings are in a state."""
        return self._states[state]

    def end(self, rows: Mapping[str, int]) -> None:
        """Close the report; `rows` are the rows by outcome."""
        if self._as_json:
            typer.echo(orjson.dumps(self._object(rows), option=orjson.OPT_INDENT_2).decode())
            return
        counts = ", ".join(f"{outcome} {number}" for outcome, number in rows.items())
        self._console.print(Text(f"\nrows: {counts or 'none'}"))
        states = ", ".join(f"{self._states[state]} {state.replace('_', ' ')}" for state in State)
        verdict = "Something is wrong" if self._states[State.WRONG] else "Nothing is wrong"
        style = _STYLES[State.WRONG if self._states[State.WRONG] else State.OK]
        self._console.print(Text(f"{verdict}: {states}.", style))

    def _object(self, rows: Mapping[str, int]) -> dict[str, object]:
        return {
            "healthy": not self._states[State.WRONG],
            "wrong": self._states[State.WRONG],
            "warnings": self._states[State.WARNING],
            "not_checked": self._states[State.NOT_CHECKED],
            "rows": dict(rows),
            "checks": self._findings,
        }


def _line(finding: Finding) -> Text:
    state = f"{finding.state.replace('_', ' '):{_STATE_WIDTH}} "
    return Text.assemble((state, _STYLES[finding.state]), f" {finding.name:{_NAME_WIDTH}} ", _plain(finding.sentence))


def _plain(text: str) -> str:
    """Return the text on one line and without control characters: what others wrote must not command the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
