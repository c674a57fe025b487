"""Owns the live proof of a quiet night: a postback in ten minutes, as last week, and nobody is told of anything.

The rules run on a shorter clock (tests/support/outside/clock.py): an hour takes two minutes, and so does its traffic.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.clock import times_shorter
from tests.support.outside.traffic import SPARSE
from tests.support.outside.watched import HOUR, Conditions, watched

pytestmark = [pytest.mark.system, pytest.mark.live, pytest.mark.proof]

NIGHTLY_RATE = 1 / 600  # postbacks a second: one in ten minutes


def test_an_hour_of_sparse_traffic_raises_nothing(tmp_path: Path, form: str, figures: Callable[[str], None]) -> None:
    with watched(tmp_path, Conditions(times_shorter(form), NIGHTLY_RATE, SPARSE)) as live:
        started = time.monotonic()
        time.sleep(live.real(HOUR))
        assert live.pager.told == []
        assert live.fired(time.monotonic() - started) == set()
        assert set(live.traffic.answers) == {"stored"}
        assert 5 <= live.traffic.answers.total() <= 8
        figures(f"{live.traffic.answers.total()} postbacks, no alert; clock {live.times} times shorter")
