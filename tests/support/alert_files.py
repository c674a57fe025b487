"""Owns the reading of alerts/: rules, their unit tests, the runbook, and promtool's opinion of all of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.documents import REPOSITORY

ALERTS = REPOSITORY / "alerts"
RULE_FILES = sorted(ALERTS.glob("*.rules.yml"))
TEST_FILES = sorted(ALERTS.glob("*.test.yml"))
PARTS = ["What it means.", "What the sender sees.", "First look.", "How it ends."]

Described = dict[str, Any]


@cache
def read(path: Path) -> Described:
    """Return a YAML file; nobody changes what is read once for all tests."""
    described: Described = yaml.safe_load(path.read_text(encoding="utf-8"))
    return described


def rules() -> list[Described]:
    """Return every rule of every file, recordings too."""
    return [rule for path in RULE_FILES for group in read(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, Described]:
    """Return the alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names of recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


@dataclass(frozen=True, slots=True)
class Case:
    """What one unit test expects of one alert: at each time, in order, the alerts that fire."""

    alert: str
    name: str
    expected: list[list[Described]]

    @property
    def fires(self) -> bool:
        """Return whether it fires at some time."""
        return any(self.expected)

    @property
    def resolves(self) -> bool:
        """Return whether it is silent after it fired."""
        return self.fires and not self.expected[-1]


def cases() -> Iterator[Case]:
    """Return every case of every test file."""
    for path in TEST_FILES:
        for test in read(path)["tests"]:
            checks = test.get("alert_rule_test", [])
            for alert in {check["alertname"] for check in checks}:
                expected = [check["exp_alerts"] for check in checks if check["alertname"] == alert]
                yield Case(alert, test["name"], expected)


def headings() -> dict[str, str]:
    """Return the runbook's text under each heading."""
    text = (ALERTS / "runbook.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    """Return the lines of the code blocks of one language, empty ones not."""
    written = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [line for block in written for line in block.splitlines() if line.strip()]
