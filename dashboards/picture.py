"""Owns how a panel's answers become SVG for a preview: lines, numbers, heat, bands and tables, drawn plainly."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

INK, FAINT, PAPER, PANEL = "#ccccdc", "#7b7f8a", "#111217", "#181b1f"
LINES = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2", "#fade2a")
NAMED = {"green": "#73bf69", "yellow": "#f2cc0c", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
TITLE, LEGEND, AXIS = 26, 18, 52
LONG = 9  # letters that still fit when drawn large
INVISIBLE = 0.001
ROOM = 1.05
LETTER = 5.4  # the width of one in a legend


@dataclass(frozen=True, slots=True)
class Box:
    """A place on the picture."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, its labels, and its points in time."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Looks:
    """What of a panel's settings matters for drawing."""

    kind: str
    title: str
    unit: str
    empty: str
    steps: list[tuple[float, str]]
    states: dict[str, tuple[str, str]]
    columns: list[str]
    colours: dict[str, str]
    from_zero: bool


def shown(value: float, unit: str) -> str:
    """Return a number with its unit as a person writes it."""
    if unit == "percentunit":
        return f"{100 * value:.4g}%"
    if unit == "s":
        return _scaled(value, [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")])
    if unit == "bytes":
        return _scaled(value, [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")])
    per_second = {"reqps": "/s", "ops": "/s", "rowsps": "/s"}.get(unit, "")
    return f"{value:.3g}{per_second}"


def panel(box: Box, looks: Looks, lines: Sequence[Line], span: tuple[float, float]) -> str:
    """Return one panel: its frame, its title, and what its kind draws."""
    frame = f'<rect x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}" fill="{PANEL}" rx="3"/>'
    title = text(box.left + 8, box.top + 17, looks.title, BOLD)
    inner = Box(box.left + 8, box.top + TITLE, box.width - 16, box.height - TITLE - 6)
    if not lines:
        return frame + title + text(inner.left + inner.width / 2, inner.top + inner.height / 2, looks.empty, MIDDLE)
    draw = {"stat": _stat, "table": _table, "heatmap": _heat, "state-timeline": _bands}.get(looks.kind, _lines)
    return frame + title + draw(inner, looks, lines, span)


@dataclass(frozen=True, slots=True)
class Font:
    """How a line of text looks, and which end of it stands at the place."""

    size: int = 11
    fill: str = INK
    anchor: str = "start"
    weight: str = "normal"


BOLD, MIDDLE, END = Font(12, weight="bold"), Font(anchor="middle"), Font(9, FAINT, "end")
SMALL, PALE = Font(9, FAINT), Font(fill=FAINT)


def text(left: float, top: float, words: str, font: Font = Font()) -> str:
    """Return one line of text."""
    style = f'font-size="{font.size}" fill="{font.fill}" text-anchor="{font.anchor}" font-weight="{font.weight}"'
    return f'<text x="{left:.0f}" y="{top:.0f}" {style}>{escape(words)}</text>'


def _lines(box: Box, looks: Looks, lines: Sequence[Line], span: tuple[float, float]) -> str:
    limits = [(value, colour) for value, colour in looks.steps if math.isfinite(value)]
    low, high = _bounds([value for line in lines for _, value in line.points], from_zero=looks.from_zero)
    plot = Box(box.left + AXIS, box.top, box.width - AXIS, box.height - LEGEND)
    parts = [_axis(plot, low, high, looks.unit)]
    parts += [_limit(plot, value, low, high, colour) for value, colour in limits if low < value < high]
    colours = [looks.colours.get(line.name, LINES[index % len(LINES)]) for index, line in enumerate(lines)]
    for line, colour in zip(lines, colours, strict=True):
        dots = " ".join(f"{_across(plot, moment, span):.1f},{_up(plot, v, low, high):.1f}" for moment, v in line.points)
        parts.append(f'<polyline points="{dots}" fill="none" stroke="{NAMED.get(colour, colour)}" stroke-width="1.2"/>')
    return "".join(parts) + _legend(box, lines, colours)


def _bounds(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    """Return where the axis begins and ends, with a little room."""
    lowest, highest = min(values), max(values)
    if from_zero:
        return min(0.0, lowest), (highest or 1.0) * ROOM
    room = (highest - lowest) * (ROOM - 1) or INVISIBLE
    return lowest - room, highest + room


def _stat(box: Box, looks: Looks, lines: Sequence[Line], _span: tuple[float, float]) -> str:
    parts = []
    for index, line in enumerate(lines):
        value = line.points[-1][1]
        words, colour = looks.states.get(f"{value:g}", (shown(value, looks.unit), _colour(looks.steps, value)))
        middle = box.left + box.width * (index + 0.5) / len(lines)
        size = 26 if len(words) < LONG else 16
        parts.append(text(middle, box.top + box.height * 0.6, words, Font(size, NAMED[colour], "middle")))
        if len(lines) > 1:
            parts.append(text(middle, box.top + box.height * 0.85, line.name, Font(fill=FAINT, anchor="middle")))
    return "".join(parts)


def _table(box: Box, looks: Looks, lines: Sequence[Line], _span: tuple[float, float]) -> str:
    rows = [looks.columns, *([line.labels.get(column, "") for column in looks.columns] for line in lines)]
    return "".join(
        text(
            box.left + box.width * column / len(row),
            box.top + 16 + 18 * number,
            cell,
            Font(fill=INK if number else FAINT),
        )
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
    )


def _bands(box: Box, looks: Looks, lines: Sequence[Line], span: tuple[float, float]) -> str:
    height = box.height / len(lines)
    parts = []
    for index, line in enumerate(lines):
        top = box.top + index * height
        parts.append(text(box.left, top + height / 2, line.name, PALE))
        wide = Box(box.left + 110, top + 3, box.width - 110, height - 6)
        for value, start, end in _stretches(line.points):
            _, colour = looks.states[f"{value:g}"]
            parts.append(_block(wide, (_across(wide, start, span), _across(wide, end, span)), NAMED[colour], 0.8))
        words = looks.states[f"{line.points[-1][1]:g}"][0]
        parts.append(text(box.left + box.width - 8, top + height / 2 + 4, words, Font(11, PAPER, "end", "bold")))
    return "".join(parts)


def _stretches(points: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return value, start and end of each time in which the value stays the same."""
    stretches: list[tuple[float, float, float]] = []
    for moment, value in points:
        if stretches and stretches[-1][0] == value:
            stretches[-1] = (value, stretches[-1][1], moment)
        else:
            stretches.append((value, stretches[-1][2] if stretches else moment, moment))
    return stretches


def _heat(box: Box, looks: Looks, lines: Sequence[Line], span: tuple[float, float]) -> str:
    buckets = sorted(lines, key=lambda line: float(line.labels["le"]))
    plot = Box(box.left + AXIS, box.top, box.width - AXIS, box.height - LEGEND)
    height = plot.height / len(buckets)
    parts = []
    below: dict[float, float] = {}
    most = max(value for _, value in buckets[-1].points) or 1.0
    for index, bucket in enumerate(buckets):
        row = Box(plot.left, plot.top + plot.height - (index + 1) * height, plot.width, height - 1)
        bound = float(bucket.labels["le"])
        name = shown(bound, looks.unit) if math.isfinite(bound) else "more"
        parts.append(text(row.left - 6, row.top + height / 2 + 4, name, END))
        width = plot.width / max(len(bucket.points), 1)
        for moment, value in bucket.points:
            left = _across(plot, moment, span)
            strength = (value - below.get(moment, 0.0)) / most
            if strength > INVISIBLE:
                parts.append(_block(row, (left - width, left), "#ff780a", 0.15 + 0.85 * strength))
        below = dict(bucket.points)
    return "".join(parts)


def _block(row: Box, across: tuple[float, float], fill: str, opacity: float) -> str:
    left, right = max(across[0], row.left), across[1]
    place = f'x="{left:.1f}" y="{row.top:.1f}" width="{max(right - left, 0.5):.1f}" height="{row.height:.1f}"'
    return f'<rect {place} fill="{fill}" fill-opacity="{opacity:.2f}"/>'


def _axis(plot: Box, low: float, high: float, unit: str) -> str:
    parts = []
    for tick in range(4):
        value = low + (high - low) * tick / 3
        top = _up(plot, value, low, high)
        parts.append(f'<path d="M{plot.left},{top:.1f}h{plot.width}" stroke="#2c3036"/>')
        parts.append(text(plot.left - 6, top + 4, shown(value, unit), END))
    return "".join(parts)


def _limit(plot: Box, value: float, low: float, high: float, colour: str) -> str:
    top = _up(plot, value, low, high)
    return f'<path d="M{plot.left},{top:.1f}h{plot.width}" stroke="{NAMED[colour]}" stroke-dasharray="6 4"/>'


def _legend(box: Box, lines: Sequence[Line], colours: Sequence[str]) -> str:
    left, bottom, parts = box.left, box.top + box.height, []
    for line, colour in zip(lines, colours, strict=True):
        width = LETTER * len(line.name) + 24
        if left + width > box.left + box.width:
            break
        fill = NAMED.get(colour, colour)
        parts.append(f'<rect x="{left:.0f}" y="{bottom - 9}" width="10" height="3" fill="{fill}"/>')
        parts.append(text(left + 14, bottom - 3, line.name, SMALL))
        left += width
    return "".join(parts)


def _across(plot: Box, moment: float, span: tuple[float, float]) -> float:
    return plot.left + plot.width * (moment - span[0]) / (span[1] - span[0])


def _up(plot: Box, value: float, low: float, high: float) -> float:
    return plot.top + plot.height * (1 - (value - low) / (high - low))


def _colour(steps: Sequence[tuple[float, str]], value: float) -> str:
    return [colour for above, colour in steps if value >= above][-1]


def named(legend: str, labels: dict[str, str]) -> str:
    """Return a series' name by the panel's legend."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend)


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    for size, name in units:
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.2g} {units[-1][1]}" if value else "0"
