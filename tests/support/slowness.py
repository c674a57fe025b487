"""Owns which tests may take long: those marked `slow`. `make quick` leaves them out."""

import time
from collections.abc import Generator

import pytest

MARK = "slow"
MOST_SECONDS = 5.0  # of processor time, so that a busy machine accuses nobody; what is not marked takes far less


class SlownessGuard:
    """A pytest plugin that fails a test that computes for long and carries no mark that excuses it."""

    def __init__(self, excused: frozenset[str]) -> None:
        self._excused = excused

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure one test without its fixtures."""
        begun = time.process_time()
        returned = yield
        seconds = time.process_time() - begun
        if seconds > MOST_SECONDS and not any(item.get_closest_marker(mark) for mark in self._excused):
            pytest.fail(f"{seconds:.1f} s of processor time: mark it `{MARK}`, or make it faster")
        return returned
