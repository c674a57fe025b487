"""Owns what can be read from our PromQL without a parser: selectors, what stands around them, how many lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from service.core.keeping import NotKept
from service.core.outcome import Family
from service.telemetry.metrics.catalogue import LEVELS, TABLES

SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\{(?P<matchers>[^{}]*)\}(?P<range>\[[^\]]*\])?")
BARE = re.compile(r"\b(?P<name>[a-z]+:[\w:]+|postback_\w+)(?![\w:{])")
MATCHER = re.compile(r'(\w+)(=~|=|!=|!~)"([^"]*)"')
OF_PROMETHEUS = {"up", "ALERTS"}
OF_THE_LIBRARY = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "python_gc_collections_total",
}
DOORS = ("postback", "batch", "pixel")
CLOSED = {
    "job": 1,  # one job is shown unless somebody asks for more
    "le": 1,
    "door": len(DOORS),
    "family": len(Family),
    "table": len(TABLES),
    "level": len(LEVELS),
    "check": 2,
    "generation": 3,
    "reason": len(NotKept),
}


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric in an expression: its matchers, its range, and what stands before it."""

    name: str
    matchers: dict[str, str]
    range: str
    before: str

    @property
    def function(self) -> str:
        """Return the function around it, if any."""
        found = re.search(r"(\w+)\($", self.before)
        return found[1] if found else ""

    @property
    def summed(self) -> bool:
        """Return whether what the function gives is summed."""
        return bool(re.search(r"sum(?: by \([\w, ]*\))? ?\(\w+\($", self.before))


def selectors(expression: str) -> list[Selector]:
    """Return the metrics in an expression, those without matchers too."""
    return [*_with_matchers(expression), *_bare(expression)]


def most_series(expression: str) -> int:
    """Return how many lines an expression draws at most. Raises KeyError for a label whose values are not closed."""
    limited = re.match(r"(?:topk|bottomk)\((\d+), ", expression) or re.search(
        r" and on \([^)]*\) topk\((\d+), ", expression
    )
    if limited:
        return int(limited[1])
    patterns = [selector.matchers for selector in selectors(expression)]
    labels = {label for listed in re.findall(r"by \(([\w, ]+)\)", expression) for label in listed.split(", ")}
    return prod(_values(label, patterns) for label in labels)


def _values(label: str, matched: list[dict[str, str]]) -> int:
    spelled = [matchers[label] for matchers in matched if label in matchers and label not in {"job", "instance"}]
    if spelled:
        return max(len(pattern.split("|")) for pattern in spelled)
    return CLOSED[label]


def _with_matchers(expression: str) -> Iterator[Selector]:
    for found in SELECTOR.finditer(expression):
        matchers = {label: sign.removeprefix("=") + value for label, sign, value in MATCHER.findall(found["matchers"])}
        values = {label: value.removeprefix("~") for label, value in matchers.items()}
        yield Selector(found["name"], values, found["range"] or "", expression[: found.start()])


def _bare(expression: str) -> Iterator[Selector]:
    for found in BARE.finditer(SELECTOR.sub("", re.sub(r'"[^"]*"', '""', expression))):
        yield Selector(found["name"], {}, "", "")
