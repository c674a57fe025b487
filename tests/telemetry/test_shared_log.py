"""One stdout for several processes: whole lines whatever their length, and a clean next line after one that died."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import termios
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.support.outside.harness import REPOSITORY, clean_environment, wait_for

pytestmark = pytest.mark.processes

WRITER = """
import sys
from service.telemetry.log.line_sink import LineSink, SharedOutput
name, count, length, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
sink = LineSink(1, lambda lost: None, output=SharedOutput(turns))
sys.stderr.write("here\\n")
sys.stderr.flush()
sys.stdin.read()  # until all are here
for number in range(count):
    sink.write(b'{"who":"%s","number":%d,"text":"%s"}' % (name.encode(), number, name.encode() * length))
sink.close(60)
"""


@contextmanager
def writers(names: str, count: int, length: int) -> Iterator[tuple[IO[bytes], list[subprocess.Popen[bytes]]]]:
    """Start a process for each name, all writing to one pipe; give its other end."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as turns:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, name, str(count), str(length), str(turns.fileno())],
                stdin=subprocess.PIPE,
                stdout=writing,
                stderr=subprocess.PIPE,
                pass_fds=[turns.fileno()],
                env=clean_environment(),
                cwd=REPOSITORY,
            )
            for name in names
        ]
    os.close(writing)
    for process in processes:
        assert process.stderr is not None
        assert process.stderr.readline() == b"here\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    with os.fdopen(reading, "rb", closefd=True) as pipe:
        yield pipe, processes
    for process in processes:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_long_lines_of_several_processes_never_come_one_into_another() -> None:
    with writers("abc", 200, 20_000) as (pipe, processes):
        lines = [json.loads(line) for line in pipe.read().splitlines()]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(lines) == 600
    assert {len(set(line["text"])) for line in lines} == {1}
    assert [line["number"] for line in lines if line["who"] == "b"] == list(range(200))


def test_who_dies_within_a_line_leaves_the_next_ones_whole() -> None:
    with writers("ab", 4, 50_000) as (pipe, processes):
        wait_for(lambda: _bytes_in(pipe) >= 65_536, 60)  # full: one is blocked within a line, the other waits for it
        first = pipe.read(9)
        writing = b"ab".index(first[8:9])
        processes[writing].send_signal(signal.SIGKILL)
        processes[writing].wait()
        *lines, end = (first + pipe.read()).split(b"\n")
    whole = [json.loads(line) for line in lines if _is_json(line)]
    assert [line["number"] for line in whole if line["who"] == "ab"[1 - writing]] == [0, 1, 2, 3]
    assert len(lines) - len(whole) == 1  # the torn one, and nothing else with it
    assert end == b""


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _bytes_in(pipe: IO[bytes]) -> int:
    waiting = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0]
