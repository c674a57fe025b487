"""What does not use our logger comes through as lines all the same: stdlib logging, warnings, crashes."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.telemetry.log.formats import LogFormat
from tests.support.fakes import Line

REPOSITORY = Path(__file__).parents[2]


CAPTURING = """
import atexit, logging, sys, threading, warnings
from service.telemetry.log.rate_limit import LogRateLimit
from service.telemetry.log import Log
from service.telemetry.log.capture import capture_everything
from service.telemetry.log.line_sink import LineSink

sink = LineSink(sys.stdout.fileno(), lambda count: None)
atexit.register(sink.close)
capture_everything(Log(sink, "{log_format}", "info", lambda level, lines: None, LogRateLimit(print)).logger, "info")
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


@pytest.mark.processes
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


@pytest.mark.processes
def test_a_logged_exception_comes_through_with_its_traceback() -> None:
    (line,) = captured("""
try:
    raise LookupError("the reason")
except LookupError:
    logging.getLogger("library").exception("it failed")
""")
    assert (line["level"], line["event"]) == ("error", "it failed")
    assert str(line["exception"]).endswith("LookupError: the reason")


@pytest.mark.processes
def test_a_librarys_badly_formatted_record_harms_nobody_else() -> None:
    ended = run_captured("""
logging.getLogger("library").error("%d items", "many")
logging.getLogger("library").error("after it")
""")
    assert ended.returncode == 0
    assert '"after it"' in ended.stdout


@pytest.mark.processes
def test_warnings_come_through() -> None:
    (line,) = captured('warnings.warn("old-fashioned", UserWarning)')
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: old-fashioned" in str(line["event"])


@pytest.mark.processes
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


@pytest.mark.processes
def test_capturing_reaches_people_too() -> None:
    ended = run_captured('logging.getLogger("library").warning("for people")', log_format="console")
    assert re.search(r"\[warning *\] for people +\[library\]", ended.stdout)


def test_no_test_left_the_capture_behind() -> None:
    """The tests above run in processes of their own; this one keeps it so."""
    assert sys.excepthook is sys.__excepthook__
    modules = [type(handler).__module__ for handler in logging.getLogger().handlers]
    assert not [module for module in modules if module == "service.telemetry.log.capture"]
