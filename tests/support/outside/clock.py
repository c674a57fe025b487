"""Owns the shorter clock: a copy of alerts/ in which every duration is divided, and last week as it would be there.

What is not ours to shorten stays as it is: the service looks at its readiness every 5 s and at the disk every 10 s,
whatever Prometheus' clock says. One alert is left out: it foresees when the disk will be full, and whatever else runs
on this machine fills that disk.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.support.outside.harness import REPOSITORY
from tests.support.outside.tools import call

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(?<![\w.:-])(?:\d+(?:ms|[smhdw]))+\b|(?<=:)(?:\d+(?:ms|[smhdw]))+(?=\])")
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_FORESEEN = re.compile(r"^      - alert: PostbackDiskFilling\n(?: {8}.*\n)+", re.MULTILINE)
_SECONDS = re.compile(r"\b(3600|86400)\b")  # numbers in expressions that stand for an hour and a day
_STALE_SECONDS = 300  # Prometheus takes a series for gone when it is older than that

Sample = tuple[str, float, float]  # a series, its Unix time, its value


def times_shorter(form: str) -> int:
    """Return by how much: 5 in the long form of a proof, else 30; POSTBACK_CLOCK says otherwise.

    At 60 a scrape may take a quarter of a second, and on a busy machine a replica seems to be down now and then.
    """
    return int(os.environ.get("POSTBACK_CLOCK") or ("5" if form == "long" else "30"))


def shortened(directory: Path, times: int) -> Path:
    """Return a copy of alerts/ in `directory` whose hours are so many times shorter; numbers of events stay."""
    alerts = directory / "alerts"
    shutil.copytree(REPOSITORY / "alerts", alerts, ignore=shutil.ignore_patterns("*.test.yml", "*.md"))
    for path in alerts.glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(shorter(_FORESEEN.sub("", text), times), encoding="utf-8")
    return alerts


def shorter(text: str, times: int) -> str:
    """Return rules or a configuration with each duration divided; a scrape may take until the next one."""
    text = re.sub(r"(scrape_interval: )(\w+)(.*scrape_timeout: )\w+", r"\1\2\3\2", text, flags=re.DOTALL)
    text = _DURATION.sub(lambda found: f"{milliseconds(found[0]) // times}ms", text)
    return _SECONDS.sub(lambda found: str(int(found[0]) // times), text)


def milliseconds(duration: str) -> int:
    """Return how long a duration of Prometheus is (167h30m)."""
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def options(times: int) -> list[str]:
    """Return what Prometheus itself must be told of the shorter clock."""
    return [f"--query.lookback-delta={_STALE_SECONDS * 1000 // times}ms"]


def remember(samples: Iterable[Sample], directory: Path, prometheus: Path) -> None:
    """Put samples of the past, in order of their times, into the data of a Prometheus that does not run yet."""
    text = "".join(f"{series} {value} {at:.3f}\n" for series, at, value in sorted(samples))
    written = directory / "last-week.txt"
    written.write_text(f"{text}# EOF\n", encoding="utf-8")
    call("promtool", "tsdb", "create-blocks-from", "openmetrics", str(written), str(prometheus))
