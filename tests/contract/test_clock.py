"""Owns what the shorter clock promises: each duration divided, and nothing else."""

import re
from pathlib import Path

import pytest

from tests.support.alert_files import ALERTS, RULE_FILES
from tests.support.outside.clock import milliseconds, shortened, shorter


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("for: 15s # two scrapes", "for: 500ms # two scrapes"),
        ("rate(x_total[5m])", "rate(x_total[10000ms])"),
        ("min_over_time(x[1h:5m] offset 167h30m) > 20", "min_over_time(x[120000ms:10000ms] offset 20100000ms) > 20"),
        ("predict_linear(x[6h], 4 * 86400) < 0", "predict_linear(x[720000ms], 4 * 2880) < 0"),
        ("3600 * job:postback_slow:rate5m >= 100", "120 * job:postback_slow:rate5m >= 100"),
        ("job:postback_errors:ratio_rate1h > 0.05", "job:postback_errors:ratio_rate1h > 0.05"),
        ('{le="0.25"} localhost:9095 10e9 256 * 1024', '{le="0.25"} localhost:9095 10e9 256 * 1024'),
        ("scrape_interval: 15s\nscrape_timeout: 5s", "scrape_interval: 500ms\nscrape_timeout: 500ms"),
    ],
)
def test_a_duration_is_divided_and_what_is_none_stays(written: str, expected: str) -> None:
    assert shorter(written, 30) == expected


def test_with_the_usual_clock_rules_mean_what_they_meant() -> None:
    """Written otherwise, each duration is as long as before, and nothing else has changed."""
    for path in RULE_FILES:
        original = path.read_text(encoding="utf-8")
        same = re.sub(r"\d+ms", lambda found: f"{milliseconds(found[0])}ms", shorter(original, 1))
        pattern = re.compile(r"(?<=[\[: ])((?:\d+(?:ms|[smhd]))+)(?![\w])")
        assert pattern.sub("#", same) == pattern.sub("#", original)
        assert [milliseconds(text) for text in pattern.findall(same)] == [
            milliseconds(text) for text in pattern.findall(original)
        ]


def test_every_duration_of_the_configuration_is_found() -> None:
    for name in ("prometheus.yml", "alertmanager.yml"):
        text = shorter((ALERTS / name).read_text(encoding="utf-8"), 7)
        assert re.findall(r": \d+[smhd]\b", text) == []


def test_only_the_alert_that_foresees_a_full_disk_is_left_out(tmp_path: Path) -> None:
    """What else runs on this machine fills the disk, and on the shorter clock that looks like four days' growth."""
    alert = re.compile(r"- alert: (\w+)")
    kept = [name for path in shortened(tmp_path, 30).glob("*.rules.yml") for name in alert.findall(path.read_text())]
    written = [name for path in RULE_FILES for name in alert.findall(path.read_text(encoding="utf-8"))]
    assert sorted([*kept, "PostbackDiskFilling"]) == sorted(written)
