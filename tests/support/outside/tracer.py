"""Owns strace: attached to the running service it watches its system calls, fails chosen ones, or slows them."""

import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.outside.harness import Service

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?:\d+<(?P<path>[^>]*)>)?.* = (?P<result>.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call as strace saw it; `number` counts the calls of this name in this thread, as `when=` does."""

    thread: str
    name: str
    number: int
    path: str
    injected: bool


class Tracer:
    """strace on every thread of the service, from now until the context ends or the service does."""

    def __init__(self, service: Service, *options: str) -> None:
        log, path = tempfile.mkstemp(prefix="strace-", dir=service.directory)
        self._log = Path(path)
        os.close(log)
        command = ["strace", "-f", "-y", "-o", path, *options, "-p", str(service.pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        """Wait until strace is attached."""
        stderr = self._process.stderr
        assert stderr is not None
        said = next((line for line in stderr if "attached" in line), None)
        assert said, "strace did not attach"
        return self

    def __exit__(self, *_: object) -> None:
        """Detach: the service goes on, without faults."""
        self._process.send_signal(signal.SIGINT)  # it detaches, and the service goes on
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def calls(self) -> list[Call]:
        """Return what was traced until now."""
        counts: dict[tuple[str, str], int] = {}
        calls = []
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _CALL.match(line):
                thread, name, path, result = found.group("thread", "name", "path", "result")
                number = counts[thread, name] = counts.get((thread, name), 0) + 1
                calls.append(Call(thread, name, number, path or "", "INJECTED" in result))
        return calls
