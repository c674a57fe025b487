"""The log: whole lines in order, one line for one event whatever it holds, and never at the cost of a postback."""

import json
import re
from collections import Counter

import pytest

from service.telemetry.log import Log
from service.telemetry.log.formats import LogFormat
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.catalogue import LEVELS
from tests.support.fakes import KeptLines, Line, kept_log, samples


@pytest.fixture
def lines() -> KeptLines:
    return KeptLines()


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
    log = Log(lines, "json", threshold, metrics.count_log_lines, LogRateLimit(metrics.count_log_rate_limited))
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


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning"])
@pytest.mark.parametrize("value", ["click-1", "100%", "%b", "é\u2028", 'quote " and \\', "\x1b[2Ja"])
def test_lines_that_are_alike_are_what_they_are_one_by_one(
    lines: KeptLines, log_format: LogFormat, level: str, value: str
) -> None:
    counted: Counter[str] = Counter()
    log = Log(
        lines, log_format, "info", lambda name, count: counted.update({name: count}), LogRateLimit(lambda *_: None)
    )
    line = {**log.head("postback"), "request_id": "", "status": 200, "click_id": None, "version": "100% %b"}
    for number in ("1", "2"):
        log.write(level, {**line, "request_id": number, "click_id": value})
    log.write_alike(level, line, ("request_id", "click_id"), [("1", value), ("2", value)])
    assert lines.kept[:2] == lines.kept[2:]
    assert counted == ({} if level == "debug" else {level: 4})


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
    log = Log(lines, "console", "info", lambda *_: None, LogRateLimit(lambda *_: None))
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
    log = Log(lines, "console", "info", lambda *_: None, LogRateLimit(lambda *_: None))
    log.write("info", {**log.head("postback"), "click_id": value})
    (line,) = lines.kept
    assert line.splitlines() == [line]
    assert b"\x1b" not in line


def test_for_people_no_value_looks_like_another_field(lines: KeptLines) -> None:
    log = Log(lines, "console", "info", lambda *_: None, LogRateLimit(lambda *_: None))
    for value in ("a level=critical", "a=b", "x' level=critical", "\x1b[2Ja", "half \udcff"):
        log.write("info", {**log.head("postback"), "click_id": value, "outcome": "stored"})
    assert [line.decode().partition("click_id=")[2] for line in lines.kept] == [
        "'a level=critical' outcome=stored",
        "'a=b' outcome=stored",
        """"x' level=critical" outcome=stored""",
        r"\x1b[2Ja outcome=stored",
        r"'half \\udcff' outcome=stored",
    ]


def test_for_people_no_line_of_a_traceback_looks_like_one_of_the_log(lines: KeptLines) -> None:
    log = Log(lines, "console", "info", lambda *_: None, LogRateLimit(lambda *_: None))
    log.logger.error("failed", exc_info=ValueError("a\x1b[31m\n12:00:00.000 [critical ] forged"))
    (line,) = lines.kept
    assert "\x1b" not in line.decode()
    assert all(more.startswith("  ") for more in line.decode().split("\n")[1:])


def test_nobody_gets_colours_who_wants_none(lines: KeptLines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for told, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", told)
        log = Log(lines, "console", "info", lambda *_: None, LogRateLimit(lambda *_: None))
        log.write("info", log.head("postback"))
        assert (b"\x1b" in lines.kept[-1]) is coloured
