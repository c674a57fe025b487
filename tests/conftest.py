"""Owns what every test may ask for: the size of the proofs, and a place to leave figures that can be quoted."""

import os
import signal
from collections.abc import Callable
from typing import Literal

import pytest

from tests.support import processes, slowness

_FIGURE = "figure"
_LONGEST_FIRST = ("test_live.py", "test_live_sparse.py", "tests/system", "web/test_bounds.py", "spool/test_fallback.py")


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start be interrupted: a shell that runs the suite in the background has that ignored."""
    config.pluginmanager.register(processes.ProcessGuard())
    config.pluginmanager.register(slowness.SlownessGuard(frozenset((processes.MARK, slowness.MARK))))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: several files run at once, and the last one should not be waited for alone."""
    processes.mark_what_starts_processes(items)
    items.sort(key=lambda item: next((rank for rank, part in enumerate(_LONGEST_FIRST) if part in item.nodeid), 9))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that the tests left, below the results."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    lines = [f"{call.nodeid}: {text}" for call in calls for name, text in call.user_properties if name == _FIGURE]
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Take one line for the summary."""
    return lambda line: record_property(_FIGURE, line)


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, whose clock a test can set; the system tests run the service on uvloop."""
    return "asyncio"


@pytest.fixture(scope="session")
def form() -> Literal["short", "long"]:
    """Tell which form of the proofs is wanted; the long one is `make soak`."""
    return "long" if os.environ.get("POSTBACK_SOAK") == "1" else "short"
