"""Owns the benchmark of imports: `python -m tests.load.importing [rounds [rows]]`: ours beside `sqlite3 .import`.

The same rows, with ids that grow with time and with random ones, into a table of the same schema in an empty file with
the same promises (WAL, synchronous=FULL), in turns; each arm is a program of its own, from its start to its end. Ours
reads click id and value, judges every row, commits 1,024 at a time and writes a report; the other is given the finished
columns of the table, and commits once. Needs sqlite3. Timing is never judged.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from sqlite3 import connect
from typing import NamedTuple

from service.storage.sqlite.ledger import SqliteLedger
from tests.support.outside.harness import clean_environment

ROWS, ROUNDS = 1_000_000, 5
_PROMISES = ("-cmd", "PRAGMA journal_mode=WAL", "-cmd", "PRAGMA synchronous=FULL", "-cmd", "PRAGMA cache_size=-16000")


class Ran(NamedTuple):
    """How fast an arm was, and the most memory that it took."""

    rate: float
    megabytes: float


def ordered() -> str:
    """Return a click id that grows with time, as ULIDs do."""
    return f"{time.time_ns():016x}{token_hex(8)}"


def unordered() -> str:
    """Return a click id that lands anywhere in an index."""
    return token_hex(16)


def empty_file(folder: Path) -> None:
    """Put the schema where each arm takes a copy of it."""
    ledger = SqliteLedger(folder / "empty.db")
    ledger.open()
    ledger.close()


def write_columns(folder: Path, click_ids: Sequence[str]) -> None:
    """Write rows as a file of the table's columns."""
    with (folder / "columns.csv").open("w") as columns:
        for number, click_id in enumerate(click_ids):
            row = ("ezmob,0", click_id, ",", "1.50,1500000,,{}", "2026-01-02 03:04:05.678901", f"{'f' * 32}-{number}")
            columns.write(f"{','.join(row)},import,,\n")


def run(folder: Path, rows: int, arm: Sequence[str]) -> Ran:
    """Run one arm on an empty file, check that all is there, and return how it did."""
    for leftover in folder.glob("run.*"):
        leftover.unlink()
    shutil.copy(folder / "empty.db", folder / "run.db")
    environment = {**clean_environment(), "POSTBACK_DATABASE_URL": f"sqlite:///{folder / 'run.db'}"}
    began = time.perf_counter()
    process = subprocess.Popen(arm, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    with closing(connect(folder / "run.db")) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM conversion").fetchone()
    assert (process.returncode, stored) == (0, rows)
    return Ran(rows / seconds, usage.ru_maxrss / 1024)


def told(name: str, figures: Sequence[float], spec: str) -> str:
    """Return median and extremes."""
    lowest, highest = format(min(figures), spec), format(max(figures), spec)
    return f"{name}: {statistics.median(figures):{spec}} ({lowest} to {highest})"


def import_columns(folder: Path, rows: int) -> Ran:
    """Have sqlite3 import what was written as columns."""
    return run(folder, rows, ("sqlite3", "run.db", *_PROMISES, ".mode csv", ".import columns.csv conversion"))


def import_both_ways(folder: Path, rows: int, new_id: Callable[[], str]) -> tuple[Ran, Ran]:
    """Import the same new rows with both programs; return how ours did, and sqlite3."""
    click_ids = [new_id() for _ in range(rows)]
    write_columns(folder, click_ids)
    (folder / "postbacks.csv").write_text("".join(["c,value\n", *(f"{click_id},1.50\n" for click_id in click_ids)]))
    ours = (sys.executable, "-m", "service", "import", "postbacks.csv", "--report", "run.csv")
    return run(folder, rows, ours), import_columns(folder, rows)


ARMS = ("ours, ids that grow", "sqlite3 .import of them", "ours, random ids", "sqlite3 .import of them")


def print_arms(rounds: Sequence[Sequence[float]]) -> None:
    """Print the rates of ARMS, and what they are of sqlite3's with ids that grow."""
    for name, rates in zip(ARMS, zip(*rounds, strict=True), strict=True):
        ratios = [rate / arms[1] for rate, arms in zip(rates, rounds, strict=True)]
        print(f"{told(name, rates, ',.0f')} rows/s; {told('of sqlite3 with ids that grow', ratios, '.2f')}")  # noqa: T201


def main(rounds: int, rows: int) -> int:
    """Print the medians."""
    with tempfile.TemporaryDirectory(prefix="postback-bench-") as scratch:
        folder = Path(scratch)
        empty_file(folder)
        ran = []
        for _ in range(rounds):
            ran.append((*import_both_ways(folder, rows, ordered), *import_both_ways(folder, rows, unordered)))
            print("  " + ", ".join(f"{arm.rate:,.0f}/s" for arm in ran[-1]))  # noqa: T201
        print_arms([[arm.rate for arm in arms] for arms in ran])
        print(told("peak memory, ours", [arms[0].megabytes for arms in ran], ",.0f") + " MB")  # noqa: T201
    return 0


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(ROUNDS, ROWS)[len(given) :]))
