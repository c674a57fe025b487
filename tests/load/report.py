"""Owns what the benchmark tells: tables of medians and spreads, ratios taken pair by pair, and the aims beside them."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.load.counting import KEYED, OPEN, Count
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
from tests.load.peers import BARE, FASTAPI, FLASK, MUTE, OURS, READING, SILENT


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity: its median and its extremes over the rounds."""

    median: float
    lowest: float
    highest: float

    def text(self, spec: str) -> str:
        """Render median (lowest-highest), each by the format spec; one figure alone has no spread."""
        if self.lowest == self.highest:
            return f"{self.median:{spec}}"
        return f"{self.median:{spec}} ({self.lowest:{spec}}-{self.highest:{spec}})"


@dataclass(frozen=True, slots=True)
class Aim:
    """One target beside what was measured. A report, not a test: a miss fails nothing."""

    name: str
    wanted: str
    figure: Figure
    reached: bool


Candidate = tuple[str, str, Figure | None, Callable[[float], bool]]  # an aim before it is known whether it was measured


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
    candidates = (
        *_rate_aims(Results(findings.runs), plan.connections),
        *_footprint_aims(findings),
        *_instruction_aims(findings.instructions),
    )
    return [Aim(name, wanted, seen, reached(seen.median)) for name, wanted, seen, reached in candidates if seen]


def _rate_aims(results: Results, connections: int) -> Iterator[Candidate]:
    def ours_to(arm: str, quantity: Callable[[Run], float] = rate) -> Figure | None:
        return results.ratio(OURS, arm, quantity, MAIN, connections)

    yield "req/s, ours / bare Starlette", ">= 0.65 (aim 0.9)", ours_to(BARE), _at_least(0.65)
    yield "p99, ours / bare Starlette", "<= 2.5", ours_to(BARE, p99), _at_most(2.5)
    yield "req/s, ours / bare that reads, log off", ">= 0.9 (aim 1.0)", ours_to(READING), _at_least(0.9)
    yield "p99, ours / bare that reads, log off", "<= 1.5", ours_to(READING, p99), _at_most(1.5)
    yield "req/s, ours / bare, access log off", ">= 0.6", ours_to(SILENT), _at_least(0.6)
    yield "req/s, ours / Flask recipe", ">= 8", ours_to(FLASK), _at_least(8)
    yield "req/s, ours / FastAPI + SQLModel", ">= 20", ours_to(FASTAPI), _at_least(20)
    grown = results.ratio(GROWN, EMPTY, rate, GROWTH, connections)
    yield "req/s, grown / empty file", ">= 0.7", grown, _at_least(0.7)
    loud = results.ratio(OURS, MUTE, rate, OBSERVED, connections)
    yield "req/s, ours / without metrics and log", ">= 0.9", loud, _at_least(0.9)
    loud = results.ratio(OURS, MUTE, cpu, OBSERVED, connections)
    yield "CPU of a request, ours / without metrics and log", "<= 1.11", loud, _at_most(1.11)


def _footprint_aims(findings: Findings) -> Iterator[Candidate]:
    peak = findings.peaks.get(MAIN)
    yield "peak memory of ours, MB", "<= 110", figure([peak] if peak else []), _at_most(110)
    took = figure(it.milliseconds for it in findings.scrapes)
    yield "a scrape under load, ms", "<= 100", took, _at_most(100)
    yield "series", "<= 500", figure(float(it.series) for it in findings.scrapes), _at_most(500)


def _instruction_aims(counts: Mapping[str, Count]) -> Iterator[Candidate]:
    if not counts:
        return
    ours, keyed = counts[OPEN], counts[KEYED]
    loop, threads = figure([ours.event_loop]), figure([ours.all_threads])
    yield "instructions of a postback, event loop", "<= 200,000", loop, _at_most(200_000)
    yield "instructions of a postback, all threads", "<= 290,000", threads, _at_most(290_000)
    more = figure([keyed.all_threads / ours.all_threads])
    yield "instructions, with a key in the query / without", "<= 1.05", more, _at_most(1.05)


def _at_least(floor: float) -> Callable[[float], bool]:
    return lambda median: median >= floor


def _at_most(ceiling: float) -> Callable[[float], bool]:
    return lambda median: median <= ceiling


def print_report(console: Console, machine: Machine, findings: Findings, plan: Plan) -> None:
    """Print every section that was measured, then the aims, then what broke."""
    results = Results(findings.runs)
    main = _table(f"{plan.connections} connections, {plan.rounds} rounds of {plan.seconds} s", "ours / this")
    for arm in (OURS, BARE, SILENT, READING, FLASK, FASTAPI):
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
    for table in (
        main,
        levels,
        growth,
        observed,
        instructions_table(findings.instructions),
        _aims_table(aims(findings, plan)),
    ):
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


def instructions_table(counts: Mapping[str, Count]) -> Table:
    """Return a row for each server that was counted, and how many times bare Starlette's instructions it takes."""
    shown = Table("server", title="instructions a request (valgrind)", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("event loop", "all threads", "this / bare: event loop", "all threads"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for name, it in counts.items():
        bare = counts[READING].event_loop
        shown.add_row(
            name,
            *(f"{count:,.0f}" for count in (it.event_loop, it.all_threads)),
            *(f"{count / bare:.3f}" for count in (it.event_loop, it.all_threads)),
        )
    return shown


def _aims_table(listed: Iterable[Aim]) -> Table:
    table = Table("aim", "wanted", title="aims (a report, not a test)", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("measured", justify="right")
    table.add_column("reached")
    for aim in listed:
        table.add_row(aim.name, aim.wanted, aim.figure.text(",.2f"), "yes" if aim.reached else "no")
    return table


def as_json(machine: Machine, findings: Findings, plan: Plan) -> dict[str, object]:
    """Return everything for a file: the plan, every run with its rate, the aims, what broke."""
    return {
        "machine": asdict(machine),
        "plan": asdict(plan),
        "runs": [{**asdict(run), "rate": run.load.rate} for run in findings.runs],
        "peak_megabytes": findings.peaks,
        "instructions": {name: asdict(count) for name, count in findings.instructions.items()},
        "scrapes": [asdict(scrape) for scrape in findings.scrapes],
        "aims": [asdict(aim) for aim in aims(findings, plan)],
        "broken": findings.complaints,
    }
