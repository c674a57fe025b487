"""Owns the clock by which entries of one host are ordered: no step of the wall clock changes their order.

It is the host's monotonic clock, set once to the wall clock's time: by whoever first asks after a boot. What it was set
by is in a file that all processes of a SPOOL_DIR share. So the moments of all journals are one order, and those of an
earlier boot, or of the version before, can be compared with them.
"""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageError

FILE_NAME = "clock"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOST_BYTES = 200

Nanoseconds = Callable[[], int]


def host_clock(
    spool_directory: Path,
    boot: Path = _BOOT,
    *,
    wall: Nanoseconds = time.time_ns,
    monotonic: Nanoseconds = time.monotonic_ns,
) -> Nanoseconds:
    """Return the clock: Unix nanoseconds. Without a boot's id (not Linux) it is the wall clock. Raises StorageError."""
    try:
        name = boot.read_text(encoding="ascii").strip()
    except OSError:
        return wall
    path = spool_directory / FILE_NAME
    try:
        offset = _offset(path, name, wall() - monotonic())
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror}", ErrorKind.CANTOPEN) from error
    return lambda: offset + monotonic()


def _offset(path: Path, boot: str, otherwise: int) -> int:
    """Return what this boot's first process noted, or note ours. After a power cut it is another boot: no fsync."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        match os.pread(descriptor, _MOST_BYTES, 0).decode("ascii", "replace").split():
            case [noted, offset] if noted == boot and offset.removeprefix("-").isdecimal():
                return int(offset)
            case _:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{boot} {otherwise}\n".encode(), 0)
                return otherwise
    finally:
        os.close(descriptor)
