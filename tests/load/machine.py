"""Owns the description of the machine: figures from two machines are not comparable, and this says which one it was."""

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_SYNCS = 100
_BLOCK = bytes(4096)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the benchmark ran. `fdatasync_ms` is the median time to make an append of 4 KiB durable."""

    cores: int
    python: str
    kernel: str
    fdatasync_ms: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"machine: {self.cores} cores, Python {self.python}, kernel {self.kernel}, "
            f"fdatasync {self.fdatasync_ms:.2f} ms (median of {_SYNCS})"
        )


def describe_machine(directory: Path) -> Machine:
    """Describe this machine and the disk that holds the directory."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        kernel=platform.release(),
        fdatasync_ms=_median_fdatasync(directory),
    )


def _median_fdatasync(directory: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(_BLOCK)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
