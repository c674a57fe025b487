"""Owns the benchmark's command line: paired load against our service and its peers, all on loopback."""

import argparse
import json
import resource
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.load import wrk
from tests.load.machine import describe_machine
from tests.load.measure import SECTIONS, Bench, Plan
from tests.load.peers import REPOSITORY, ServerFailed
from tests.load.report import as_json, print_report
from tests.support.outside.callgrind import NotCounted

_TEACHING = """\
what is measured
  main         ours, a Starlette app that stores nothing (with uvicorn's access log, its default, without, and
               one without that reads the two parameters), the guide's Flask recipe and the tutorials' FastAPI way,
               each loaded once a round, in turn
  connections  ours and bare Starlette at 1, 8, 64 and 1000 connections
  growth       ours on an empty file and on one that already holds --rows conversions
  observed     ours, the same with metrics and log switched off, and ours while its metrics page is read
  instructions of one request, counted by valgrind: ours, ours with a key in the query, and bare Starlette

how to read it
  Only ratios mean something on another machine, and only those taken inside one round: each is computed pair by
  pair, then the median and the extremes are shown. The first round of each server is a warm-up and not counted.
  After each run of ours the rows of the conversion table are counted: at least as many as wrk saw 200s.
  Timing is never judged. Exit 0: measured. 1: a server failed, ours answered something else than 200, or rows are
  missing. 2: wrong usage, or wrk is not installed.

examples
  make bench                                                    everything, about 13 minutes
  .venv/bin/python -m tests.load.bench --quick                  everything, about 4 minutes
  .venv/bin/python -m tests.load.bench --only main --rounds 9 --json main.json
"""
_OPEN_FILES = 4096  # 1000 connections need more than the usual 1024, in wrk and in each server
_TABLE_WIDTH = 132
_FULL = Plan(connections=64, rounds=5, seconds=5, rows=5_000_000)
_QUICK = Plan(connections=64, rounds=2, seconds=2, rows=200_000)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; `plan` is what --quick and the single options amount to."""
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description="Load our service and its peers in paired rounds and print the ratios.",
        epilog=_TEACHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 s, 200,000 rows: a look, not a figure")
    parser.add_argument("--only", choices=SECTIONS, help="one section instead of all")
    parser.add_argument("--connections", type=_count, metavar="N", help="for main and growth (64)")
    parser.add_argument("--rounds", type=_count, metavar="N", help="counted rounds (5)")
    parser.add_argument("--seconds", type=_count, metavar="S", help="length of one run (5)")
    parser.add_argument("--rows", type=_count, metavar="N", help="conversions in the grown file (5,000,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there too")
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        default=REPOSITORY / "build" / "bench",
        help="where databases and logs live for the time being: a real disk (build/bench)",
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Return the plan: the single options over --quick over the full one."""
    base = _QUICK if arguments.quick else _FULL
    return Plan(
        connections=arguments.connections or base.connections,
        rounds=arguments.rounds or base.rounds,
        seconds=arguments.seconds or base.seconds,
        rows=arguments.rows or base.rows,
    )


def main() -> int:
    """Measure, print, and say by the exit code whether anything broke."""
    arguments = parse_arguments()
    console = Console(width=max(Console().width, _TABLE_WIDTH))
    if not wrk.available():
        console.print("wrk is not installed: apt install wrk, or https://github.com/wg/wrk")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that every server started is stopped
    _raise_open_files()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="run-") as scratch:
        return _measure_and_report(arguments, Path(scratch).resolve(), console)


def _measure_and_report(arguments: argparse.Namespace, scratch: Path, console: Console) -> int:
    plan = make_plan(arguments)
    machine = describe_machine(scratch)
    console.print(str(machine), highlight=False)
    bench = Bench(plan, scratch, console)
    try:
        bench.run([arguments.only] if arguments.only else SECTIONS)
    except (ServerFailed, wrk.LoadFailed, NotCounted) as failure:
        bench.findings.complaints.append(str(failure))
    print_report(console, machine, bench.findings, plan)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(machine, bench.findings, plan), indent=2) + "\n", encoding="utf-8")
    return 1 if bench.findings.complaints else 0


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES:
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
