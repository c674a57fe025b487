"""Owns the proof that a log nobody reads costs log lines, which are counted, and never a postback."""

import fcntl
import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.outside.harness import LogLine, Service, wait_for
from tests.support.outside.ledger import run
from tests.support.outside.load import Load

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

LINES_THAT_WAIT = 20_000  # the bound of the log's queue
PIPE_BYTES = 4096  # the smallest: a pipe that blocks soon


@dataclass(slots=True)
class Reader:
    """The reading end of the service's stdout, which is read only when the test asks."""

    descriptor: int
    received: bytearray = field(default_factory=bytearray)

    def read_all(self) -> int:
        """Read until nothing comes for a moment; return how many lines came until now."""
        while select.select([self.descriptor], [], [], 0.3)[0]:
            data = os.read(self.descriptor, 1 << 20)
            if not data:
                break
            self.received += data
        return self.received.count(b"\n")

    def lines(self) -> list[LogLine]:
        """Return the complete lines; each must be a JSON object."""
        return [json.loads(line) for line in bytes(self.received).splitlines(keepends=True) if line.endswith(b"\n")]


@contextmanager
def stdout_pipe() -> Iterator[tuple[Reader, int]]:
    """Make a pipe; yield its reader and the end for the service, which the test must close after the start."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        yield Reader(reading), writing
    finally:
        os.close(reading)
        os.close(writing)


def listening(reader: Reader) -> LogLine | None:
    """Read on until the service says where it listens."""
    reader.read_all()
    return next((line for line in reader.lines() if line["event"] == "listening"), None)


def test_a_blocked_log_blocks_nothing_and_its_lost_lines_are_counted(tmp_path: Path) -> None:
    with stdout_pipe() as (reader, writing), Service(tmp_path, stdout=writing) as service:
        service.announced(wait_for(lambda: listening(reader), 20))
        blocked = Load(service.public, "blocked")
        run(blocked.send(LINES_THAT_WAIT + 5_000))
        assert blocked.answers.outcomes == {"stored": blocked.sent}
        assert blocked.answers.errors == {}
        assert service.metrics().total("postback_log_dropped_total") > 0

        def conserved() -> bool:
            received, metrics = reader.read_all(), service.metrics()
            return received == metrics.total("postback_log_lines_total") - metrics.total("postback_log_dropped_total")

        assert wait_for(conserved, 20)
        run(Load(service.public, "blocked-again").send(1_000))
        assert service.terminate() == 0
