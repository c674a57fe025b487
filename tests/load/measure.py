"""Owns the order of measurements: which server is loaded when, in paired rounds, and what each run must conserve."""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.load.counting import Count, count_all
from tests.load.growth import copy_database, count_conversions, make_template, prefill, remove_database
from tests.load.peers import (
    OURS,
    Server,
    ServerFailed,
    bare_starlette,
    fastapi_sqlmodel,
    flask,
    mute,
    ours,
    reading_starlette,
    running,
    silent_starlette,
)
from tests.load.scrape import Scrape, scraping
from tests.load.wrk import Load, LoadFailed, put_load
from tests.support.outside.callgrind import MISSING, available

MAIN, CONNECTIONS, GROWTH, OBSERVED, INSTRUCTIONS = "main", "connections", "growth", "observed", "instructions"
SECTIONS = (MAIN, CONNECTIONS, GROWTH, OBSERVED, INSTRUCTIONS)
LEVELS = (1, 8, 64, 1000)
EMPTY, GROWN = "ours, empty file", "ours, grown file"
SCRAPED = "ours, scraped"

WARM_UP = 0  # the number of a round that is run and not counted
_WARM_UP_SECONDS = 2
_SETTLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    connections: int
    rounds: int
    seconds: int
    rows: int


@dataclass(frozen=True, slots=True)
class Run:
    """One counted burst of load. Runs of the same section, connections and round are a pair."""

    section: str
    arm: str
    connections: int
    round: int
    load: Load
    cpu_seconds: float


@dataclass(slots=True)
class Findings:
    """Everything seen: the runs, our peak memory (MB) by section, scrapes under load, instructions, and what broke."""

    runs: list[Run] = field(default_factory=list)
    scrapes: list[Scrape] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    instructions: dict[str, Count] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class Bench:
    """Runs sections one after the other and gathers their findings."""

    def __init__(self, plan: Plan, scratch: Path, console: Console) -> None:
        self._plan = plan
        self._scratch = scratch
        self._console = console
        self.findings = Findings()

    def run(self, sections: Iterable[str]) -> None:
        """Run the named sections. Raises ServerFailed or LoadFailed when one cannot go on."""
        measures = {
            MAIN: self._main,
            CONNECTIONS: self._connections,
            GROWTH: self._growth,
            OBSERVED: self._observed,
            INSTRUCTIONS: self._instructions,
        }
        for section in sections:
            measures[section]()

    def _main(self) -> None:
        scratch = self._scratch
        lineup = (
            ours(scratch, scratch / "main.db"),
            bare_starlette(scratch),
            silent_starlette(scratch),
            reading_starlette(scratch),
            flask(scratch),
            fastapi_sqlmodel(scratch),
        )
        with ExitStack() as stack:
            servers = [stack.enter_context(running(peer)) for peer in lineup]
            self._paired_rounds(MAIN, servers, self._plan.connections)
            self._note_peak(MAIN, servers[0])

    def _connections(self) -> None:
        lineup = (ours(self._scratch, self._scratch / "connections.db"), bare_starlette(self._scratch))
        with ExitStack() as stack:
            servers = [stack.enter_context(running(peer)) for peer in lineup]
            for level in LEVELS:
                self._paired_rounds(CONNECTIONS, servers, level)
            self._note_peak(CONNECTIONS, servers[0])

    def _observed(self) -> None:
        """Measure the service as it is, mute, and scraped while it is loaded."""
        peers = (ours(self._scratch, self._scratch / "observed.db"), mute(self._scratch, self._scratch / "mute.db"))
        with ExitStack() as stack:
            servers = [stack.enter_context(running(peer)) for peer in peers]
            operator_port, _, _ = peers[0].ready
            for number in range(WARM_UP, self._plan.rounds + 1):
                for server in servers if number % 2 else servers[::-1]:  # ABBA: what drifts meets both alike
                    self._measure(server, OBSERVED, server.peer.name, self._plan.connections, number)
                with scraping(operator_port, self.findings.scrapes):
                    self._measure(servers[0], OBSERVED, SCRAPED, self._plan.connections, number)

    def _instructions(self) -> None:
        if available():
            self.findings.instructions = count_all(self._scratch)
        elif os.environ.get("POSTBACK_REQUIRE_TOOLS") == "1":
            raise ServerFailed(MISSING)
        else:
            self._console.print(f"instructions are not counted: {MISSING}", highlight=False)

    def _paired_rounds(self, section: str, servers: Sequence[Server], connections: int) -> None:
        for number in range(WARM_UP, self._plan.rounds + 1):
            for server in servers:
                self._measure(server, section, server.peer.name, connections, number)

    def _growth(self) -> None:
        """Measure each file through a service started anew, so that the empty file is empty in every round."""
        template = make_template(self._scratch)
        grown = self._grown_file(template)
        empty = self._scratch / "empty.db"
        for number in range(1, self._plan.rounds + 1):
            copy_database(template, empty)
            for arm, database in ((EMPTY, empty), (GROWN, grown)):
                with running(ours(self._scratch, database)) as server:
                    for measured in (WARM_UP, number):
                        self._measure(server, GROWTH, arm, self._plan.connections, measured)
                    self._note_peak(GROWTH, server)
        remove_database(grown)

    def _grown_file(self, template: Path) -> Path:
        grown = copy_database(template, self._scratch / "grown.db")
        with Progress(console=self._console) as progress:
            task = progress.add_task(f"prefilling {self._plan.rows:,} conversions", total=self._plan.rows)
            prefill(grown, self._plan.rows, lambda added: progress.advance(task, added))
        self._console.print(f"growth: the grown file is {grown.stat().st_size / 2**20:,.0f} MB")
        return grown

    def _measure(self, server: Server, section: str, arm: str, connections: int, number: int) -> None:
        """Put one burst on the server, hold ours to its receipts, and keep the run unless it is a warm-up."""
        seconds = self._plan.seconds if number else min(_WARM_UP_SECONDS, self._plan.seconds)
        database = server.peer.database
        time.sleep(_SETTLE_SECONDS)  # what the last burst left unfinished belongs to nobody
        server.check_alive()
        before, cpu_before = count_conversions(database) if database else 0, server.cpu_seconds()
        load = put_load(server.peer.port, connections, seconds)
        server.check_alive()
        cpu_seconds = server.cpu_seconds() - cpu_before
        where = f"{section}: {arm}, {connections} connections, {f'round {number}' if number else 'warm-up'}"
        self._console.print(f"{where}: {load.rate:,.0f} req/s, p99 {load.p99_ms:,.1f} ms", highlight=False)
        if load.accepted <= 0:
            raise LoadFailed(f"{where}: nothing was accepted in {load.seconds:.1f} s")
        if database:
            grown = count_conversions(database) - before
            self.findings.complaints += [f"{where}: {broken}" for broken in broken_promises(load, grown, connections)]
        if number != WARM_UP:
            self.findings.runs.append(Run(section, arm, connections, number, load, cpu_seconds))

    def _note_peak(self, section: str, server: Server) -> None:
        assert server.peer.name == OURS
        self.findings.peaks[section] = max(server.peak_megabytes(), self.findings.peaks.get(section, 0.0))


def broken_promises(load: Load, grown: int, connections: int) -> list[str]:
    """Return what our service owed after a burst and did not keep; `grown` is the rows that the table gained.

    A 200 is a receipt, so there are at least as many rows as 200s. wrk stops with up to one request a connection
    unanswered; those may be stored too, so a loss smaller than that could hide here.
    """
    broken = []
    if load.status_errors:
        broken.append(f"{load.status_errors} answers were not 200")
    if load.socket_errors or load.timeouts:
        broken.append(f"{load.socket_errors} socket errors, {load.timeouts} answers slower than the time-out")
    if not load.accepted <= grown <= load.accepted + connections + load.socket_errors:
        broken.append(f"wrk saw {load.accepted:,} answers of 200 and the conversion table grew by {grown:,} rows")
    return broken
