"""Owns `python -m dashboards.preview`: pictures of the dashboards, drawn from a Prometheus' answers to their queries.

A preview is not Grafana and says so on the picture. It asks as the system tests ask, so it is run from the repository.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboards import picture
from dashboards.picture import FAINT, INK, PAPER, Box, Font, Line, Looks, text
from tests.support.outside.panel_queries import Question, Span, answered, dashboards, questions

WIDTH, CELL, GAP, HEADING = 1600, 34, 6, 64
LABEL = "preview, not Grafana: drawn from the answers of a Prometheus to the dashboard's own queries"
Json = dict[str, Any]


def drawn(dashboard: Json, prometheus: str, span: Span, end: float) -> str:
    """Return the dashboard as SVG, collapsed rows closed."""
    asked: dict[str, list[Question]] = {}
    for question in questions(span):
        if question.dashboard == dashboard["uid"] and question.kind == "panel":
            asked.setdefault(question.title, []).append(question)
    parts = [_heading(dashboard["title"], end)]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            parts.append(_row(panel))
            continue
        lines = [line for question in asked[panel["title"]] for line in _answer(prometheus, question, end)]
        parts.append(picture.panel(_box(panel["gridPos"]), _looks(panel), lines, (end - span.seconds, end)))
    bottom = max(_box(panel["gridPos"]).top + _box(panel["gridPos"]).height for panel in dashboard["panels"]) + GAP
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom}" font-family="sans-serif">'
    return f'{opening}<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>\n'


def _heading(title: str, end: float) -> str:
    moment = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M UTC")
    name = text(GAP * 2, 28, title, Font(20, weight="bold"))
    return name + text(GAP * 2, 50, f"{LABEL}, {moment}", Font(12, "#ff9830"))


def _row(row: Json) -> str:
    box = _box(row["gridPos"])
    mark, colour = ("▸", FAINT) if row["collapsed"] else ("▾", INK)
    return text(box.left + 4, box.top + 22, f"{mark} {row['title']}", Font(14, colour))


def _box(at: Json) -> Box:
    column = (WIDTH - GAP) / 24
    left, top = GAP + at["x"] * column, HEADING + at["y"] * CELL
    return Box(round(left, 1), top, round(at["w"] * column - GAP, 1), at["h"] * CELL - GAP)


def _looks(panel: Json) -> Looks:
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults.get("thresholds", {}).get("steps", [])
    mappings = [mapping["options"] for mapping in defaults.get("mappings", [])]
    overrides = panel["fieldConfig"].get("overrides") or []
    chosen = panel.get("transformations", [{"options": {"include": {"names": []}}}])[0]
    return Looks(
        kind=panel["type"],
        title=panel["title"],
        unit=defaults["unit"],
        empty=defaults.get("noValue", "no data"),
        steps=[(float("-inf") if step["value"] is None else step["value"], step["color"]) for step in steps],
        states={value: (state["text"], state["color"]) for options in mappings for value, state in options.items()},
        columns=chosen["options"]["include"]["names"],
        colours={each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"] for each in overrides},
        from_zero="min" in defaults,
    )


def _answer(prometheus: str, question: Question, end: float) -> list[Line]:
    lines = []
    for series in answered(prometheus, question, end)["data"]["result"]:
        labels = series["metric"]
        points = [(float(moment), float(value)) for moment, value in series.get("values") or [series["value"]]]
        numbers = [(moment, value) for moment, value in points if value == value]  # noqa: PLR0124 - NaN is not itself
        if numbers:
            lines.append(Line(picture.named(question.legend, labels), labels, numbers))
    return lines


def main(arguments: list[str]) -> int:
    """Write one SVG a dashboard; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.preview", description=LABEL)
    parser.add_argument("--prometheus", required=True, help="its URL, as http://127.0.0.1:9090")
    parser.add_argument("--out", required=True, type=Path, help="directory for the pictures")
    parser.add_argument("--seconds", type=int, default=900, help="how much time they show (default 900)")
    parser.add_argument("--scrape", type=int, default=15, help="its scrape interval in seconds (default 15)")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    span, end = Span(chosen.seconds, chosen.scrape, points=150), time.time()
    for dashboard in dashboards():
        path = chosen.out / f"{dashboard['uid']}.svg"
        path.write_text(drawn(dashboard, chosen.prometheus, span, end), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
