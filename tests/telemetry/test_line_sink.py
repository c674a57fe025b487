"""The way of lines to stdout: whole, in order, written or counted, and no writer is ever blocked."""

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, NamedTuple

import pytest

from service.telemetry.log.line_sink import LineSink
from tests.support.fakes import PATIENCE


class Pipe(NamedTuple):
    """Both ends of a pipe, unbuffered."""

    reader: IO[bytes]
    writer: IO[bytes]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Open a pipe, and close what the test left open."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as reader, os.fdopen(write, "wb", buffering=0) as writer:
        yield Pipe(reader, writer)


def numbered(count: int, size: int = 0, prefix: str = "") -> list[bytes]:
    return [f"{prefix}{number:06d}".encode().ljust(size, b".") for number in range(count)]


def write_all(sink: LineSink, written: Iterable[bytes]) -> None:
    for line in written:
        sink.write(line)


def flushed(sink: LineSink, pipe: Pipe) -> list[bytes]:
    """Read a pipe to its end while the sink empties itself into it."""
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.reader.readall)  # type: ignore[attr-defined]  # a raw file has it
        sink.close(PATIENCE)
        pipe.writer.close()
        everything: bytes = read.result(PATIENCE)
    return everything.splitlines()


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    drops: list[int] = []
    sink, written = LineSink(pipe.writer.fileno(), drops.append), numbered(5000, size=100)
    write_all(sink, written)
    assert flushed(sink, pipe) == written
    assert drops == []


def test_lines_of_several_threads_stay_whole_and_each_threads_in_order(pipe: Pipe) -> None:
    sink = LineSink(pipe.writer.fileno(), lambda _: None)
    written = {name: numbered(1000, prefix=name) for name in "abcd"}
    with ThreadPoolExecutor(4) as pool:
        for mine in written.values():
            pool.submit(write_all, sink, mine)
    came = flushed(sink, pipe)
    assert {name: [line for line in came if line.startswith(name.encode())] for name in "abcd"} == written
    assert len(came) == 4000


def test_a_blocked_descriptor_blocks_nobody_and_every_line_is_written_or_counted(pipe: Pipe) -> None:
    drops: list[int] = []
    sink, written = LineSink(pipe.writer.fileno(), drops.append, capacity=100), numbered(1000, size=1024)
    caller = threading.Thread(target=write_all, args=(sink, written), daemon=True)
    caller.start()
    caller.join(PATIENCE)
    assert not caller.is_alive()
    assert sum(drops) > 0
    came = flushed(sink, pipe)
    assert len(came) + sum(drops) == len(written)
    assert came == sorted(set(came) & set(written))


def test_lines_for_a_reader_that_went_away_are_counted(pipe: Pipe) -> None:
    drops: list[int] = []
    sink = LineSink(pipe.writer.fileno(), drops.append)
    pipe.reader.close()
    write_all(sink, numbered(10))
    sink.close(PATIENCE)
    assert sum(drops) == 10


def test_a_line_that_broke_off_half_way_is_counted_as_lost(pipe: Pipe) -> None:
    drops: list[int] = []
    os.set_blocking(pipe.writer.fileno(), False)
    sink, written = LineSink(pipe.writer.fileno(), drops.append), numbered(200, size=1000)
    write_all(sink, written)
    came = flushed(sink, pipe)
    whole = [line for line in came if line in written]
    assert len(whole) + sum(drops) == len(written)


def test_a_line_after_one_that_broke_off_is_a_line_of_its_own(pipe: Pipe) -> None:
    dropped = threading.Event()
    os.set_blocking(pipe.writer.fileno(), False)
    sink = LineSink(pipe.writer.fileno(), lambda _: dropped.set())
    sink.write(b"x" * 200_000)  # more than a pipe holds
    assert dropped.wait(PATIENCE)
    broken_off = pipe.reader.read(200_000)
    sink.write(b"later")
    came = broken_off + b"\n".join(flushed(sink, pipe))
    assert b"later" in came.splitlines()
