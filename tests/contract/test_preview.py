"""Owns what a preview promises: it says what it is, shows every open panel, and is a well-formed picture."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dashboards import preview
from dashboards.picture import shown
from tests.support.outside.panel_queries import DAY, Json, Question, dashboards

END = 1_800_000_000.0
LABELS = {"instance": "replica-1", "job": "postback", "outcome": "stored", "le": "0.25", "version": "0.1.0"}


def one_series(_prometheus: str, question: Question, end: float) -> Json:
    """Stand in for a Prometheus in which every query finds one series, of value 1."""
    points = [[end - question.step, "1"], [end, "1"]]
    found = {"metric": LABELS, "value": points[-1]} if question.instant else {"metric": LABELS, "values": points}
    return {"status": "success", "data": {"result": [found]}}


def nothing(_prometheus: str, _question: Question, _end: float) -> Json:
    """Stand in for a Prometheus that has nothing yet."""
    return {"status": "success", "data": {"result": []}}


def words(svg: Path) -> list[str]:
    root = ET.fromstring(svg.read_text(encoding="utf-8"))  # noqa: S314 - made a moment ago by ourselves
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def made(directory: Path) -> list[str]:
    assert preview.main(["--prometheus", "http://unused", "--out", str(directory), "--seconds", str(DAY)]) == 0
    return sorted(path.name for path in directory.iterdir())


def test_a_preview_of_each_dashboard_says_that_it_is_none_of_grafana(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "answered", one_series)
    assert made(tmp_path) == [f"{dashboard['uid']}.svg" for dashboard in dashboards()]
    for path in tmp_path.iterdir():
        assert any(line.startswith("preview, not Grafana") for line in words(path))


@pytest.mark.parametrize("answer", [one_series, nothing])
def test_every_open_panel_is_shown_whatever_prometheus_has(
    answer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "answered", answer)
    made(tmp_path)
    for dashboard in dashboards():
        open_panels = {panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"}
        assert open_panels - set(words(tmp_path / f"{dashboard['uid']}.svg")) == set()


def test_an_empty_panel_says_what_that_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "answered", nothing)
    made(tmp_path)
    assert {"nothing fires", "no traffic", "nothing stored yet"} <= set(words(tmp_path / "postback-overview.svg"))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.9995, "percentunit", "99.95%"),
        (0.0, "s", "0"),
        (0.0123, "s", "12.3 ms"),
        (7200.0, "s", "2 h"),
        (94_371_840.0, "bytes", "90 MiB"),
        (16.5, "reqps", "16.5/s"),
        (3.0, "short", "3"),
    ],
)
def test_a_number_is_written_with_its_unit(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected
