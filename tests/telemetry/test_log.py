"""The log: whole lines in order, one line for one event whatever it holds, and never at the cost of a postback."""

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from service.telemetry.log import Log
from service.telemetry.log.formats import LogFormat
from service.telemetry.log.line_sink import LineSink
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.catalogue import LEVELS
from tests.support.fakes import PATIENCE, KeptLines, Line, kept_log, samples

REPOSITORY = Path(__file__).parents[2]


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


@pytest.fixture
def lines() -> KeptLines:
    return KeptLines()


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


@pytest.mark.parametrize("value", ["a\nb", "a\r\nb", "\x1b[2Ja", "a\u2028b", "a\x85b", "\x00", 'quote " and \\'])
def test_no_value_can_make_a_second_line(lines: KeptLines, value: str) -> None:
    log = kept_log(lines, Metrics())
    log.write("info", {**log.head("postback"), "click_id": value})
    log.logger.info("postback", click_id=value)
    for line in lines.kept:
        assert line.splitlines() == [line]
        assert b"\x1b" not in line
        assert json.loads(line)["click_id"] == value
    assert len(lines.kept) == 2


@pytest.mark.parametrize(
    "value",
    [
        "half a pair \udcff",
        2**70,
        {1: object()},
        b"\xff",
    ],
    ids=["half a surrogate pair", "a large number", "an object", "bytes"],
)
def test_a_value_that_json_cannot_hold_costs_neither_the_line_nor_its_writer(lines: KeptLines, value: object) -> None:
    log = kept_log(lines, Metrics())
    log.write("info", {**log.head("strange"), "value": value})
    log.logger.info("strange", value=value)
    one, two = lines.events("strange")
    assert {**one, "timestamp": ""} == {**two, "timestamp": ""}


def test_a_traceback_is_part_of_its_line(lines: KeptLines) -> None:
    log = kept_log(lines, Metrics())
    try:
        json.loads("{")
    except ValueError:
        log.logger.exception("failed")
    (line,) = lines.events("failed")
    assert line["level"] == "error"
    assert str(line["exception"]).startswith("Traceback (most recent call last):")
    assert "JSONDecodeError" in str(line["exception"])


@pytest.mark.parametrize("threshold", LEVELS)
def test_only_what_reaches_the_level_is_written_and_counted(lines: KeptLines, threshold: str) -> None:
    metrics = Metrics()
    log = Log(lines, "json", threshold, metrics.count_log_line, LogRateLimit(metrics.count_log_rate_limited))
    for level in LEVELS:
        log.write(level, {**log.head("one")})
        getattr(log.logger, level)("two")
    written = LEVELS[LEVELS.index(threshold) :]
    assert [line["level"] for line in lines.events("one")] == list(written)
    assert [line["level"] for line in lines.events("two")] == list(written)
    assert samples(metrics, "postback_log_lines_total") == {(level,): 2.0 for level in written}


@pytest.mark.parametrize("level", LEVELS)
def test_both_ways_to_write_a_line_give_the_same_line(lines: KeptLines, level: str) -> None:
    log = kept_log(lines, Metrics())
    fields: Line = {"request_id": "1", "value": None, "count": 2, "ratio": 0.5}
    log.write(level, {**log.head("postback"), **dict(fields)})
    getattr(log.logger, level)("postback", **fields)
    one, two = lines.events()
    assert list(one) == list(two) == ["timestamp", "level", "event", *fields]
    assert {**one, "timestamp": two["timestamp"]} == two


@pytest.mark.parametrize(
    "value",
    [
        "an ordinary value",
        "half a pair \udcff",
    ],
    ids=["an ordinary value", "half a surrogate pair"],
)
def test_a_timestamp_is_utc_and_always_in_one_form(lines: KeptLines, value: str) -> None:
    log = kept_log(lines, Metrics())
    log.write("info", {**log.head("postback"), "value": value})
    (line,) = lines.events()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(line["timestamp"]))


def test_for_people_a_line_is_time_level_event_and_named_values(lines: KeptLines) -> None:
    log = Log(lines, "console", "info", lambda _: None, LogRateLimit(lambda *_: None))
    log.write("warning", {**log.head("postback"), "click_id": "click-1", "outcome": "conflict"})
    (line,) = lines.kept
    text = r"\d\d:\d\d:\d\d\.\d{3} \[warning *\] postback +click_id=click-1 outcome=conflict"
    assert re.fullmatch(text, line.decode())


@pytest.mark.parametrize(
    "value",
    [
        "a\nb",
        "a\r\nb",
        "\x1b[2Ja",
        "\udcff",
    ],
    ids=["LF", "CR LF", "ESC", "half a surrogate pair"],
)
def test_for_people_no_value_can_make_a_second_line_or_drive_the_terminal(lines: KeptLines, value: str) -> None:
    log = Log(lines, "console", "info", lambda _: None, LogRateLimit(lambda *_: None))
    log.write("info", {**log.head("postback"), "click_id": value})
    (line,) = lines.kept
    assert line.splitlines() == [line]
    assert b"\x1b" not in line


CAPTURING = """
import atexit, logging, sys, threading, warnings
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.log import Log
from service.telemetry.log.capture import capture_everything
from service.telemetry.log.line_sink import LineSink

sink = LineSink(sys.stdout.fileno(), lambda count: None)
atexit.register(sink.close)
capture_everything(Log(sink, "{log_format}", "info", lambda level: None, LogRateLimit(print)).logger, "info")
"""


def run_captured(body: str, log_format: LogFormat = "json") -> subprocess.CompletedProcess[str]:
    """Run a program whose log, warnings and crashes are captured; a process of its own, for they are global state."""
    return subprocess.run(
        [sys.executable, "-c", CAPTURING.format(log_format=log_format) + body],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def captured(body: str) -> list[Line]:
    """Return what such a program logs; nothing may come out beside the log."""
    ended = run_captured(body)
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_standard_librarys_log_comes_through_as_lines() -> None:
    told = captured("""
logging.getLogger("asyncio").warning("slow %s", "callback")
logging.getLogger("quiet").debug("below the level")
logging.getLogger("odd").log(25, "between two levels")
""")
    assert [(line["level"], line["event"], line["logger"]) for line in told] == [
        ("warning", "slow callback", "asyncio"),
        ("info", "between two levels", "odd"),
    ]


def test_a_logged_exception_comes_through_with_its_traceback() -> None:
    (line,) = captured("""
try:
    raise LookupError("the reason")
except LookupError:
    logging.getLogger("library").exception("it failed")
""")
    assert (line["level"], line["event"]) == ("error", "it failed")
    assert str(line["exception"]).endswith("LookupError: the reason")


def test_a_librarys_badly_formatted_record_harms_nobody_else() -> None:
    ended = run_captured("""
logging.getLogger("library").error("%d items", "many")
logging.getLogger("library").error("after it")
""")
    assert ended.returncode == 0
    assert '"after it"' in ended.stdout


def test_warnings_come_through() -> None:
    (line,) = captured('warnings.warn("old-fashioned", UserWarning)')
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: old-fashioned" in str(line["event"])


@pytest.mark.parametrize(
    "body",
    [
        'raise LookupError("the reason")',
        "def fail():\n    raise LookupError('the reason')\nt = threading.Thread(target=fail)\nt.start()\nt.join()",
    ],
    ids=["main thread", "another thread"],
)
def test_an_uncaught_exception_comes_through(body: str) -> None:
    (line,) = captured(body)
    assert (line["level"], line["event"], line["error"]) == ("critical", "crashed", "LookupError('the reason')")
    assert str(line["exception"]).endswith("LookupError: the reason")


def test_capturing_reaches_people_too() -> None:
    ended = run_captured('logging.getLogger("library").warning("for people")', log_format="console")
    assert re.search(r"\[warning *\] for people +\[library\]", ended.stdout)


def test_no_test_left_the_capture_behind() -> None:
    """The tests above run in processes of their own; this one keeps it so."""
    assert sys.excepthook is sys.__excepthook__
    modules = [type(handler).__module__ for handler in logging.getLogger().handlers]
    assert not [module for module in modules if module == "service.telemetry.log.capture"]
