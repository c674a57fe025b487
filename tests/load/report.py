"""Owns what the benchmark tells: tables of medians and spreads, ratios taken pair by pair, and the aims beside them."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.load.machine import Machine
from tests.load.measure import (
    CONNECTIONS,
    EMPTY,
    GROWN,
    GROWTH,
    LEVELS,
    MAIN,
    OBSERVED,
    SCRAPED,
    Findings,
    Plan,
    Run,
)
from tests.load.peers import BARE, FASTAPI, FLASK, MUTE, OURS, SILENT


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity: its median and its extremes over the rounds."""

    median: float
    lowest: float
    highest: float

    def text(self, spec: str) -> str:
        """Render median (lowest-highest), each by the format spec."""
        return f"{self.median:{spec}} ({self.lowest:{spec}}-{self.highest:{spec}})"


@dataclass(frozen=True, slots=True)
class Aim:
    """One target beside what was measured. A report, not a test: a miss fails nothing."""

    name: str
    wanted: str
    figure: Figure
    reached: bool


def rate(run: Run) -> float:
    """Return the accepted answers a second."""
    return run.load.rate


def p99(run: Run) -> float:
    """Return the 99th percentile of the time to an answer, in milliseconds."""
    return run.load.p99_ms


def cpu(run: Run) -> float:
    """Return the processor time of the server's process for each accepted answer, in seconds."""
    return run.cpu_seconds / run.load.accepted


class Results:
    """The counted runs, asked for figures."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = list(runs)

    def of(self, section: str, arm: str, connections: int) -> dict[int, Run]:
        """Return the runs of one arm by round."""
        wanted = (section, arm, connections)
        return {run.round: run for run in self._runs if (run.section, run.arm, run.connections) == wanted}

    def ratio(
        self, of: str, to: str, quantity: Callable[[Run], float], section: str, connections: int
    ) -> Figure | None:
        """Divide pair by pair: only runs of the same round, minutes apart at most, are compared."""
        upper, lower = self.of(section, of, connections), self.of(section, to, connections)
        return figure(quantity(upper[number]) / quantity(lower[number]) for number in upper if number in lower)


def figure(values: Iterable[float]) -> Figure | None:
    """Summarise; None of nothing."""
    listed = sorted(values)
    return Figure(statistics.median(listed), listed[0], listed[-1]) if listed else None


def aims(findings: Findings, plan: Plan) -> list[Aim]:
    """Return every target for which something was measured."""
    results, connections = Results(findings.runs), plan.connections
    peak = findings.peaks.get(MAIN)
    candidates = [
        (
            "req/s, ours / bare Starlette",
            ">= 0.65 (aim 0.9)",
            results.ratio(OURS, BARE, rate, MAIN, connections),
            _at_least(0.65),
        ),
        ("p99, ours / bare Starlette", "<= 2.5", results.ratio(OURS, BARE, p99, MAIN, connections), _at_most(2.5)),
        ("req/s, ours / Flask recipe", ">= 8", results.ratio(OURS, FLASK, rate, MAIN, connections), _at_least(8)),
        (
            "req/s, ours / FastAPI + SQLModel",
            ">= 20",
            results.ratio(OURS, FASTAPI, rate, MAIN, connections),
            _at_least(20),
        ),
        ("peak memory of ours, MB", "<= 120", figure([peak] if peak else []), _at_most(120)),
        ("req/s, grown / empty file", ">= 0.7", results.ratio(GROWN, EMPTY, rate, GROWTH, connections), _at_least(0.7)),
        (
            "req/s, ours / without metrics and log",
            ">= 0.9",
            results.ratio(OURS, MUTE, rate, OBSERVED, connections),
            _at_least(0.9),
        ),
        (
            "CPU of a request, ours / without metrics and log",
            "<= 1.11",
            results.ratio(OURS, MUTE, cpu, OBSERVED, connections),
            _at_most(1.11),
        ),
        ("a scrape under load, ms", "<= 100", figure(it.milliseconds for it in findings.scrapes), _at_most(100)),
        ("series", "<= 500", figure(float(it.series) for it in findings.scrapes), _at_most(500)),
    ]
    return [Aim(name, wanted, seen, reached(seen.median)) for name, wanted, seen, reached in candidates if seen]


def _at_least(floor: float) -> Callable[[float], bool]:
    return lambda median: median >= floor


def _at_most(ceiling: float) -> Callable[[float], bool]:
    return lambda median: median <= ceiling


def print_report(console: Console, machine: Machine, findings: Findings, plan: Plan) -> None:
    """Print every section that was measured, then the aims, then what broke."""
    results = Results(findings.runs)
    main = _table(f"{plan.connections} connections, {plan.rounds} rounds of {plan.seconds} s", "ours / this")
    for arm in (OURS, BARE, SILENT, FLASK, FASTAPI):
        _add_row(main, results, (MAIN, arm, plan.connections), (OURS, arm))
    levels = _table(f"by connections, {plan.rounds} rounds of {plan.seconds} s", "ours / this")
    for level in LEVELS:
        for arm in (OURS, BARE):
            _add_row(levels, results, (CONNECTIONS, arm, level), (OURS, arm))
    growth = _table(f"growth, {plan.rows:,} conversions in the grown file", "this / empty")
    for arm in (EMPTY, GROWN):
        _add_row(growth, results, (GROWTH, arm, plan.connections), (arm, EMPTY))
    observed = _table(f"observed, {plan.rounds} rounds of {plan.seconds} s", "this / mute")
    for arm in (OURS, MUTE, SCRAPED):
        _add_row(observed, results, (OBSERVED, arm, plan.connections), (arm, MUTE))
    console.print()
    for table in (main, levels, growth, observed, _aims_table(aims(findings, plan))):
        if table.row_count:
            console.print(table)
    if findings.scrapes:
        took = figure(it.milliseconds for it in findings.scrapes)
        console.print(f"{len(findings.scrapes)} scrapes under load: {took and took.text('.1f')} ms", highlight=False)
    peaks = ", ".join(f"{section} {peak:.0f} MB" for section, peak in findings.peaks.items())
    console.print(f"peak memory of ours (VmHWM): {peaks or 'not measured'}", highlight=False)
    console.print(str(machine), highlight=False)
    for complaint in findings.complaints:
        console.print(f"BROKEN: {complaint}", style="bold red", highlight=False)


def _table(title: str, compared: str) -> Table:
    table = Table(title=f"{title}; median (lowest-highest)", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("server", no_wrap=True)
    for heading in ("conn.", "req/s", "p99 ms", "not 200", f"{compared}: req/s", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add_row(table: Table, results: Results, key: tuple[str, str, int], compared: tuple[str, str]) -> None:
    section, arm, connections = key
    runs = results.of(section, arm, connections).values()
    rates, tails = figure(map(rate, runs)), figure(map(p99, runs))
    if rates is None or tails is None:
        return
    itself = compared[0] == compared[1]
    ratios = [None if itself else results.ratio(*compared, of, section, connections) for of in (rate, p99)]
    shown = [ratio.text(".2f") if ratio else "" for ratio in ratios]
    failed = sum(run.load.status_errors + run.load.socket_errors + run.load.timeouts for run in runs)
    table.add_row(arm, f"{connections:,}", rates.text(",.0f"), tails.text(",.1f"), f"{failed:,}", *shown)


def _aims_table(listed: Iterable[Aim]) -> Table:
    table = Table("aim", "wanted", title="aims (a report, not a test)", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("measured", justify="right")
    table.add_column("reached")
    for aim in listed:
        table.add_row(aim.name, aim.wanted, aim.figure.text(".2f"), "yes" if aim.reached else "no")
    return table


def as_json(machine: Machine, findings: Findings, plan: Plan) -> dict[str, object]:
    """Return everything for a file: the plan, every run with its rate, the aims, what broke."""
    return {
        "machine": asdict(machine),
        "plan": asdict(plan),
        "runs": [{**asdict(run), "rate": run.load.rate} for run in findings.runs],
        "peak_megabytes": findings.peaks,
        "scrapes": [asdict(scrape) for scrape in findings.scrapes],
        "aims": [asdict(aim) for aim in aims(findings, plan)],
        "broken": findings.complaints,
    }
