"""Owns how the dashboards' queries are asked as Grafana asks them, read from the generated JSON only.

`questions` gives every query of panels, variables and annotations for a range, with macros and variables replaced;
`ask` puts one to a Prometheus. Nothing here knows the service or the code that made the dashboards.
"""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

GENERATED = Path(__file__).parents[3] / "dashboards" / "generated"
QUARTER, DAY = 900, 86_400
POINTS = 1_000  # about as many as a panel has pixels; a new Prometheus has nothing to show before its first point
ANNOTATION_STEP = 60

EMPTY_IN_HEALTH: Mapping[str, str] = {
    "Firing alerts": "any alert fires, for instance a replica is killed (PostbackTargetDown)",
}
"""Titles of panels and names of annotations that are empty while all is well, each with the fault that fills it."""

Kind = Literal["panel", "variable", "annotation"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One query as Prometheus gets it, and where on the dashboards it stands."""

    dashboard: str
    title: str
    kind: Kind
    expression: str
    seconds: int
    step: int
    instant: bool = False
    label: str = ""
    legend: str = ""
    exemplars: bool = False

    def __str__(self) -> str:
        """Return where it stands and what it asks."""
        return f"{self.dashboard} / {self.title} ({self.kind}, {self.seconds} s): {self.expression}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What Prometheus said: how many series (or values of a variable), its error and its warnings."""

    question: Question
    series: int
    error: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Return whether there was nothing to draw."""
        return self.series == 0

    @property
    def may_be_empty(self) -> bool:
        """Return whether that is so in health; what fired before it is in the range too."""
        return self.question.title in EMPTY_IN_HEALTH


def dashboards(directory: Path = GENERATED) -> list[Json]:
    """Return the generated dashboards."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))]


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield every panel, those in collapsed rows too, rows themselves not."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


@dataclass(frozen=True, slots=True)
class Span:
    """The range that is shown, the scrape interval, and variables that are not left as the dashboard opens."""

    seconds: int = QUARTER
    scrape: int = 15
    chosen: Mapping[str, str] = field(default_factory=dict)
    points: int = POINTS

    @property
    def step(self) -> int:
        """Return the seconds between two points, never less than between two scrapes."""
        return max(self.scrape, self.seconds // self.points)

    def macros(self) -> dict[str, str]:
        """Return what Grafana puts in the place of its macros."""
        rate = max(self.step + self.scrape, 4 * self.scrape)
        spans = {"__rate_interval": rate, "__interval": self.step, "__range": self.seconds}
        milliseconds = {f"{name}_ms": str(seconds * 1000) for name, seconds in spans.items()}
        written = {name: f"{seconds}s" for name, seconds in spans.items()}
        return {**written, **milliseconds, "__range_s": str(self.seconds)}


def questions(span: Span, directory: Path = GENERATED) -> list[Question]:
    """Return every query of every dashboard."""
    return [asked for dashboard in dashboards(directory) for asked in _questions_of(dashboard, span)]


def replaced(expression: str, values: Mapping[str, str]) -> str:
    """Return the expression with macros and variables replaced. Raises KeyError for an unknown one."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expression)


def opened(dashboard: Json) -> dict[str, str]:
    """Return the value of each variable when the dashboard is opened, several as one regular expression."""
    values = {}
    for variable in dashboard["templating"]["list"]:
        value = variable["current"]["value"]
        chosen = value if isinstance(value, list) else [value]
        values[variable["name"]] = variable["allValue"] if chosen == ["$__all"] else "|".join(chosen)
    return values


def ask(prometheus: str, question: Question, until: float | None = None) -> Reply:
    """Put a question to the Prometheus at this URL, for the time up to `until` (now)."""
    end = until or time.time()
    if question.kind == "variable":
        return _ask_values(prometheus, question, end)
    answer = answered(prometheus, question, end)
    series = [each for each in answer.get("data", {}).get("result", []) if _drawn(each)]
    return _reply(question, len(series), answer)


def answered(prometheus: str, question: Question, end: float) -> Json:
    """Return all that Prometheus says to a panel's or annotation's question; points lie on multiples of the step."""
    if question.instant:
        return _get(prometheus, "query", query=question.expression, time=str(end))
    aligned = end - end % question.step
    times = {"start": str(aligned - question.seconds), "end": str(aligned), "step": str(question.step)}
    return _get(prometheus, "query_range", query=question.expression, **times)


def exemplars(prometheus: str, question: Question, until: float | None = None) -> list[dict[str, str]]:
    """Return the labels (trace_id, request_id) of the dots that Grafana draws for a question with exemplars."""
    end = until or time.time()
    times = {"start": str(end - question.seconds), "end": str(end)}
    answer = _get(prometheus, "query_exemplars", query=question.expression, **times)
    return [each["labels"] for series in answer["data"] for each in series["exemplars"]]


def ask_all(prometheus: str, asked: list[Question]) -> list[Reply]:
    """Put all questions, for the same moment."""
    now = time.time()
    return [ask(prometheus, question, now) for question in asked]


def complaints(replies: list[Reply]) -> list[str]:
    """Return what is wrong in health: errors, warnings, and empty panels that should not be."""
    said = [f"error: {reply.error}: {reply.question}" for reply in replies if reply.error]
    said += [f"warning: {warning}: {reply.question}" for reply in replies for warning in reply.warnings]
    return said + [f"empty: {reply.question}" for reply in replies if reply.empty and not reply.may_be_empty]


def _questions_of(dashboard: Json, span: Span) -> Iterator[Question]:
    values = {**span.macros(), **opened(dashboard), **span.chosen}
    yield from _of_panels(dashboard, span, values)
    yield from _of_variables(dashboard, span, values)
    yield from _of_annotations(dashboard, span, values)


def _of_panels(dashboard: Json, span: Span, values: Mapping[str, str]) -> Iterator[Question]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Question(
                dashboard["uid"],
                panel["title"],
                "panel",
                replaced(target["expr"], values),
                span.seconds,
                span.step,
                instant=bool(target.get("instant")),
                legend=target.get("legendFormat", ""),
                exemplars=bool(target.get("exemplar")),
            )


def _of_variables(dashboard: Json, span: Span, values: Mapping[str, str]) -> Iterator[Question]:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            expression, label = variable["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            asked = replaced(expression, values)
            yield Question(dashboard["uid"], variable["name"], "variable", asked, span.seconds, span.step, label=label)


def _of_annotations(dashboard: Json, span: Span, values: Mapping[str, str]) -> Iterator[Question]:
    step = max(ANNOTATION_STEP, span.step)
    for annotation in dashboard["annotations"]["list"]:
        asked = replaced(annotation["target"]["expr"], values)
        yield Question(dashboard["uid"], annotation["name"], "annotation", asked, span.seconds, step)


def _ask_values(prometheus: str, question: Question, end: float) -> Reply:
    times = {"start": str(end - question.seconds), "end": str(end)}
    answer = _get(prometheus, f"label/{question.label}/values", **{"match[]": question.expression}, **times)
    return _reply(question, len(answer.get("data") or []), answer)


def _reply(question: Question, series: int, answer: Json) -> Reply:
    error = answer.get("error", "") if answer["status"] != "success" else ""
    return Reply(question, series, error, answer.get("warnings", []) + answer.get("infos", []))


def _drawn(series: Json) -> bool:
    points = series.get("values") or [series["value"]]
    return any(value != "NaN" for _, value in points)


def _get(prometheus: str, path: str, **parameters: str) -> Json:
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - the test's own Prometheus
            answer: Json = json.load(response)
    except urllib.error.HTTPError as refused:
        answer = json.load(refused)
        refused.close()
    return answer
