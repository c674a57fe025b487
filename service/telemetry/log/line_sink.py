"""Owns the way of log lines to stdout: a bounded queue and one thread, so that a blocked stdout never blocks a caller.

Lost lines are counted. Workers that share one stdout take turns: a pipe takes more than 4 KiB in several pieces, and
another process's lines could come between them.
"""

import fcntl
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Self

_GATHER_SECONDS = 0.02  # how long lines may gather before they are written together
_CAPACITY_LINES = 20_000  # about 10 MB


class UnsharedOutput:
    """An output that no other process writes to. `torn`: the last line written has no end yet."""

    torn = False

    def __enter__(self) -> Self:
        """Begin at once."""
        return self

    def __exit__(self, *_: object) -> None:
        """End; no other process waits."""


class SharedOutput:
    """An output that several processes write to in turn, under the lock of a common file, whose one byte is `torn`.

    A process that dies releases the lock; it leaves `torn` behind if it died within a line.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.ftruncate(fd, 1)
        self._byte = mmap.mmap(fd, 1)

    def __enter__(self) -> Self:
        """Wait until no other process writes."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next one write."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN)

    @property
    def torn(self) -> bool:
        """Whether the last line written, by any process, has no end yet."""
        return self._byte[0] != 0

    @torn.setter
    def torn(self, torn: bool) -> None:
        self._byte[0] = torn


class LineSink:
    """A bounded queue of lines in front of a file descriptor, emptied by a thread of its own.

    `write` never blocks. While `capacity` lines wait, further ones are dropped and `on_drop(count)` is called; the
    same goes for lines that the descriptor refuses.
    """

    def __init__(
        self,
        fd: int,
        on_drop: Callable[[int], None],
        capacity: int = _CAPACITY_LINES,
        output: UnsharedOutput | SharedOutput | None = None,
    ) -> None:
        self._fd = fd
        self._on_drop = on_drop
        self._capacity = capacity
        self._output = output or UnsharedOutput()
        self._lines: deque[bytes] = deque()
        self._signalled = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line (without its newline), or drop and count it when the queue is full."""
        if len(self._lines) >= self._capacity:
            self._on_drop(1)
            return
        self._lines.append(line)
        if not self._signalled:  # one wake-up a gathering, not one a line
            self._signalled = True
            self._wake.set()
            if not self._thread.is_alive():  # closed: what comes now (a crash's last word) goes out at once
                self._write_out()
                self._signalled = False

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for at most `timeout` seconds; what a blocked descriptor still holds then is lost."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._signalled = False
            self._write_out()
        self._write_out()

    def _write_out(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        with self._output as output:
            self._write_block(output, b"\n".join([*lines, b""]))

    def _write_block(self, output: UnsharedOutput | SharedOutput, block: bytes) -> None:
        start = written = 0
        torn = output.torn
        if torn:
            block, start = b"\n" + block, 1
        output.torn = True  # as it will be if we are killed in the middle
        try:
            while written < len(block):
                written += os.write(self._fd, memoryview(block)[written:])
        except OSError:  # a closed pipe, a full disk: the log may fail, the service may not
            self._on_drop(block.count(b"\n", max(written, start)))
        output.torn = block[written - 1 : written] != b"\n" if written else torn
