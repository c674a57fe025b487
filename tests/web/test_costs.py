"""No request is much dearer than an ordinary one of the same bytes or rows, whatever is in it, or holds up the others.

Time is that of the processor, the least of several times, so that a busy machine accuses nobody.
"""

import asyncio
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from service.intake import GROUP_ROWS
from tests.support.crafted.costs import Cost, Service, TimedLoop, service
from tests.support.crafted.hostile import KINDS
from tests.support.crafted.large import large, ordinary_large
from tests.support.crafted.requests import Request, ordinary, rows_of_a_group

TIMES = 4  # an ordinary request
NOISE = 1.5  # what one turn of the loop may take longer on a busy machine
LONG = 3  # one in so many
ENOUGH = 200  # of a kind
LITTLE = 2**20  # bytes: what any request may take


class Budget(NamedTuple):
    """What a request may cost: seconds whatever it is, seconds for each of its rows, seconds in one turn."""

    seconds: float
    seconds_a_row: float
    held_seconds: float

    def exceeded_by(self, cost: Cost) -> bool:
        """Tell whether it is."""
        return cost.seconds > max(self.seconds, cost.rows * self.seconds_a_row) or cost.held_seconds > self.held_seconds


async def budget_for(serving: Service, kind: str) -> Budget:
    """Measure ordinary requests."""
    costs = [await serving.cost_of(one, 5) for one in ordinary()[kind]]
    group = await serving.cost_of(rows_of_a_group(GROUP_ROWS), 5)
    a_row = max(cost.seconds / cost.rows if cost.rows else 0.0 for cost in costs)
    return Budget(TIMES * max(cost.seconds for cost in costs), TIMES * a_row, NOISE * group.seconds)


async def too_dear(path: Path, kind: str, requests: Sequence[Request]) -> list[str]:
    """Return what costs more than it may."""
    async with service(path) as serving:
        budget, found = await budget_for(serving, kind), []
        for one in requests:
            cost = await serving.cost_of(one, 1)
            if budget.exceeded_by(cost) and budget.exceeded_by(again := await serving.cost_of(one, 7)):
                found.append(f"{one.name}: {again}, allowed are {budget}")
    return found


def measured(path: Path, kind: str, requests: Sequence[Request]) -> list[str]:
    """Measure in a loop that knows how long each of its turns takes."""
    with asyncio.Runner(loop_factory=TimedLoop) as runner:
        return runner.run(too_dear(path, kind, requests))


@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_crafted_requests_go_through_each_door(kind: str) -> None:
    assert kind in ordinary()
    assert len({one.wire for one in [*KINDS[kind]()][::LONG]}) >= ENOUGH


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_crafted_request_is_much_dearer_than_an_ordinary_one(kind: str, tmp_path: Path) -> None:
    requests = [*KINDS[kind]()][::LONG]
    assert measured(tmp_path / "postback.db", kind, requests) == []


async def peaks(path: Path, usual: Sequence[Request], crafted: Sequence[Request]) -> list[str]:
    """Return what takes more memory than four of the usual ones that takes most, of the same bytes or rows."""
    async with service(path) as serving:
        rows = [max(1, (await serving.cost_of(one, 1)).rows) for one in usual]
        tracemalloc.start()
        try:
            ordinary_peaks = [await serving.peak_of(one) for one in usual]
            most = LITTLE + TIMES * max(ordinary_peaks)
            most_a_row = TIMES * max(peak / count for peak, count in zip(ordinary_peaks, rows, strict=True))
            found = [(await serving.peak_of(one), one) for one in crafted]
        finally:
            tracemalloc.stop()
        return [
            f"{one.name} takes {peak} bytes, allowed are {most}, or {most_a_row} a row"
            for peak, one in found
            if peak > most and peak > most_a_row * (await serving.cost_of(one, 1)).rows
        ]


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_crafted_request_takes_much_more_memory(kind: str, tmp_path: Path) -> None:
    assert asyncio.run(peaks(tmp_path / "postback.db", ordinary()[kind], [*KINDS[kind]()][1::LONG])) == []


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("form", ["ndjson", "array", "csv"])
def test_no_large_batch_takes_much_more_memory_than_an_ordinary_one(form: str, tmp_path: Path) -> None:
    assert asyncio.run(peaks(tmp_path / "postback.db", [ordinary_large(form)], [*large(form)])) == []
