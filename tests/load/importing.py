"""Owns the benchmark of imports: `python -m tests.load.importing [rounds [rows]]`: ours beside `sqlite3 .import`.

The same rows, with ids that grow with time, into a table of the same schema in an empty file with the same promises
(WAL, synchronous=FULL), in turns (ABAB); each arm is a program of its own, from its start to its end. Ours reads click
id and value, judges every row, commits 1,024 at a time and writes a report; the other is given the finished columns of
the table, and commits once. Needs sqlite3. Timing is never judged.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
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


def write(folder: Path, rows: int) -> None:
    """Write the same rows as a file of postbacks and as a file of the table's columns."""
    began = time.time_ns()
    with (folder / "postbacks.csv").open("w") as postbacks, (folder / "columns.csv").open("w") as columns:
        postbacks.write("c,value\n")
        for number in range(rows):
            click_id = f"{began + number * 1000:016x}{number:016x}"
            postbacks.write(f"{click_id},1.50\n")
            row = ("ezmob,0", click_id, ",", "1.50,1500000,,{}", "2026-01-02 03:04:05.678901", f"{'f' * 32}-{number}")
            columns.write(f"{','.join(row)},import\n")


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


def main(rounds: int, rows: int) -> int:
    """Print each round, and the medians."""
    with tempfile.TemporaryDirectory(prefix="postback-bench-") as scratch:
        folder = Path(scratch)
        write(folder, rows)
        empty = SqliteLedger(folder / "empty.db")
        empty.open()
        empty.close()
        ours = (sys.executable, "-m", "service", "import", "postbacks.csv", "--report", "run.csv")
        peer = ("sqlite3", "run.db", *_PROMISES, ".mode csv", ".import columns.csv conversion")
        pairs = []
        for _ in range(rounds):
            pairs.append((run(folder, rows, ours), run(folder, rows, peer)))
            print(f"  ours {pairs[-1][0].rate:,.0f}/s, sqlite3 .import {pairs[-1][1].rate:,.0f}/s")  # noqa: T201
        print(told(f"{rows:,} rows, ours", [it.rate for it, _ in pairs], ",.0f") + " rows/s")  # noqa: T201
        print(told("sqlite3 .import", [it.rate for _, it in pairs], ",.0f") + " rows/s")  # noqa: T201
        print(told("ours / sqlite3 .import", [it.rate / peer.rate for it, peer in pairs], ".2f"))  # noqa: T201
        print(told("peak memory, ours", [it.megabytes for it, _ in pairs], ",.0f") + " MB")  # noqa: T201
    return 0


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(ROUNDS, ROWS)[len(given) :]))
