"""Owns counting instructions: a server under valgrind's callgrind, and what its threads do by request, not by time."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAIN_THREAD = 1
MISSING = "valgrind is not installed: apt install valgrind"
_CONTROL_SECONDS = 60
_THREAD = re.compile(r"^thread: (\d+)$", re.MULTILINE)
_TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)


class NotCounted(Exception):  # noqa: N818 - what happened
    """callgrind could not be told something, or wrote no count."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted between two moments: how many seconds that took, and the instructions of each thread."""

    seconds: float
    threads: Mapping[int, int]


def available() -> bool:
    """Say whether valgrind is on the PATH."""
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


def under_callgrind(command: Sequence[str], dump: Path) -> tuple[str, ...]:
    """Return the command that runs another under callgrind; counts go to files named after `dump`.

    Nothing is counted before `switch_on`: a server starts in seconds instead of a minute. valgrind runs one thread at
    a time; scheduled fairly, the writer gets its turns and commits before the deadline of a postback.
    """
    options = ("--quiet", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--fair-sched=yes")
    return ("valgrind", *options, f"--callgrind-out-file={dump}", _pipes(dump), *command)


def switch_on(pid: int, dump: Path) -> None:
    """Count from now on. Raises NotCounted."""
    _control("--instr=on", pid, dump)


def switch_off(pid: int, dump: Path) -> None:
    """Count no more. Raises NotCounted."""
    _control("--instr=off", pid, dump)


def read_counts(pid: int, dump: Path) -> dict[int, int]:
    """Return the instructions of each thread since the last time, or since `switch_on`. Raises NotCounted."""
    _control("--dump", pid, dump)
    written = list(dump.parent.glob(f"{dump.name}.*-*"))
    threads = dict(read_dump(path.read_text(encoding="utf-8", errors="replace")) for path in written)
    for path in written:
        path.unlink()
    if MAIN_THREAD not in threads:
        raise NotCounted(f"callgrind told nothing of the main thread in {dump}")
    return threads


def read_dump(text: str) -> tuple[int, int]:
    """Return the thread and the instructions of one of callgrind's files. Raises NotCounted on any other text."""
    thread, total = _THREAD.search(text), _TOTAL.search(text)
    if thread is None or total is None:
        raise NotCounted("not a whole file of callgrind's: it names no thread, or no totals")
    return int(thread[1]), int(total[1])


def by_request(busy: Window, idle: Window) -> dict[int, float]:
    """Return what each thread did for the requests of a busy window.

    What it does at rest in the same time (timers, looks at the database) is not counted. A thread that does half as
    much at rest works by the clock: whether its next look falls into the window is chance, so it counts as 0.
    """
    resting = {thread: idle.threads.get(thread, 0) / idle.seconds * busy.seconds for thread in busy.threads}
    return {
        thread: done - resting[thread] if resting[thread] < done / 2 else 0.0 for thread, done in busy.threads.items()
    }


def _control(what: str, pid: int, dump: Path) -> None:
    """Return when the process has done it; callgrind_control waits for that."""
    command = ("callgrind_control", _pipes(dump), what, str(pid))
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=_CONTROL_SECONDS)
    except subprocess.SubprocessError as failed:
        raise NotCounted(f"valgrind cannot be told to count (may processes be traced here?): {failed}") from failed


def _pipes(dump: Path) -> str:
    """Have the pipes by which a process is told beside its counts, so that they go with them."""
    return f"--vgdb-prefix={dump.parent / 'pipe'}"
