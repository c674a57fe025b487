"""Owns the check of instructions: `python -m tests.load.instructions [--write]`: what the hot path costs, by count.

A GET postback of ours, without and with a key in its query, and bare Starlette on uvicorn without access log, one after
the other under valgrind's callgrind. Each ratio to bare Starlette may be 5 % above the one in instructions.json. Exit
0: as known or cheaper. 1: too dear, or a server failed. 2: nothing to compare with, or valgrind is not installed.
`--write` puts what was measured in the place of what is known.
"""

import argparse
import platform
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from tests.load.counting import count_all, ratios
from tests.load.peers import ServerFailed
from tests.load.report import instructions_table
from tests.load.wrk import LoadFailed
from tests.support.instruction_ratios import judge, read_ratios, write_ratios
from tests.support.outside.callgrind import MISSING, NotCounted, available

_WIDTH = 132  # the table is not broken, whoever reads it
_PYTHON = ".".join(platform.python_version_tuple()[:2])


def main() -> int:
    """Count, print, and judge or write."""
    parser = argparse.ArgumentParser(description="Count the instructions of a postback and compare them.")
    parser.add_argument("--write", action="store_true", help="renew tests/load/instructions.json")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that every server started is stopped
    console = Console(width=max(Console().width, _WIDTH), highlight=False, markup=False)
    if not available():
        console.print(MISSING)
        return 2
    try:
        known = read_ratios(_PYTHON)
    except ValueError as other:
        console.print(f"{other}. Write anew: python -m tests.load.instructions --write")
        if not arguments.write:
            return 2
        known = {}
    return _check(console, known, write=arguments.write)


def _check(console: Console, known: Mapping[str, float], *, write: bool) -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="postback-instructions-") as scratch:
            counts = count_all(Path(scratch))
    except (ServerFailed, LoadFailed, NotCounted) as failure:
        console.print(f"BROKEN: {failure}", soft_wrap=True)
        return 1
    console.print(instructions_table(counts))
    measured = ratios(counts)
    if write:
        for name, ratio in measured.items():
            console.print(f"{name}: {known.get(name, 0):.3f} -> {ratio:.3f}")
        write_ratios(_PYTHON, measured)
        return 0
    sentences, sound = judge(measured, known)
    console.print("\n".join(sentences), soft_wrap=True)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
