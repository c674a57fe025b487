"""Owns the question how much room the database takes and how much is left."""

import os
from pathlib import Path

from service.telemetry.metrics.counts import Space


def measure_space(path: Path) -> Space:
    """Measure the database at `path`, its WAL and their file system; what is not there (yet) is 0. May block."""
    try:
        system = os.statvfs(path.parent)
    except OSError:
        return Space()
    free, capacity = system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize
    return Space(_size(path), _size(path.with_name(f"{path.name}-wal")), free, capacity)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
