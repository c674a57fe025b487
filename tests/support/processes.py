"""Owns which tests may start a process: those marked `processes`. `make quick` leaves them out."""

import multiprocessing.util
import sys
from collections.abc import Callable, Generator
from typing import ParamSpec, TypeVar

import pytest

MARK = "processes"
FORKED = "tests.support.forked"  # raised by the one helper whose new process Python's own events do not tell of
SPAWNED = "multiprocessing.spawn"  # raised here: Python has no event for it
_STARTS = frozenset(
    ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system", FORKED, SPAWNED)
)
_SYSTEM_TESTS = ("tests/system/", "tests/load/")
_starters: set[str] = set()

P = ParamSpec("P")
R = TypeVar("R")


def starts_processes(function: Callable[P, R]) -> Callable[P, R]:
    """Say of a fixture that it starts a process: every test that asks for it, however indirectly, is marked."""
    _starters.add(function.__name__)
    return function


def mark_what_starts_processes(items: list[pytest.Item]) -> None:
    """Mark the system tests, and the tests that ask for a fixture that starts a process."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if item.nodeid.startswith(_SYSTEM_TESTS) or not _starters.isdisjoint(asked):
            item.add_marker(MARK)


def _heard(spawn: Callable[P, R]) -> Callable[P, R]:
    def spawn_and_tell(*given: P.args, **named: P.kwargs) -> R:
        sys.audit(SPAWNED, given[0])
        return spawn(*given, **named)

    return spawn_and_tell


class ProcessGuard:
    """A pytest plugin that fails a test that starts a process and is not marked; a process outlives its test's folder.

    An audit hook cannot be removed: this one lasts as long as pytest, and hears nothing between two tests.
    """

    def __init__(self) -> None:
        self._unmarked: pytest.Item | None = None
        self._caught: list[str] = []
        sys.addaudithook(self._hear)
        multiprocessing.util.spawnv_passfds = _heard(multiprocessing.util.spawnv_passfds)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._unmarked is not None and event in _STARTS:
            what = f"{self._unmarked.nodeid} starts a process ({event} {arguments[:2]}) and is not marked `{MARK}`"
            self._caught.append(what)
            raise RuntimeError(what)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch over one test with its fixtures."""
        self._unmarked = None if item.get_closest_marker(MARK) else item
        self._caught.clear()
        try:
            return (yield)
        finally:
            self._unmarked = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Fail the test also where the service caught our exception."""
        returned = yield
        if self._caught:
            pytest.fail(self._caught[0])
        return returned
