"""No request is much dearer than an ordinary one of the same bytes or rows, whatever is in it, or holds up the others.

What is judged is how many functions are called, in C too: that is the same on any machine. What one call may cost is
the matter of contract/test_patterns.py; how long a request holds up the others is told as a figure.
"""

import asyncio
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from service.intake import GROUP_ROWS
from tests.support.crafted.costs import Cost, CountingLoop, Service, service
from tests.support.crafted.hostile import KINDS
from tests.support.crafted.large import large, ordinary_large
from tests.support.crafted.requests import Request, ordinary, rows_of_a_group

TIMES = 4  # an ordinary request
LONG = 3  # one in so many
ENOUGH = 200  # of a kind
LITTLE = 2**20  # bytes: what any request may take


class Budget(NamedTuple):
    """What a request may cost: calls whatever it is, calls for each of its rows."""

    calls: float
    calls_a_row: float

    def exceeded_by(self, cost: Cost) -> bool:
        """Tell whether it is."""
        return cost.calls > max(self.calls, cost.rows * self.calls_a_row)


async def budget_for(serving: Service, kind: str) -> Budget:
    """Count what ordinary requests cost."""
    costs = [await serving.cost_of(one) for one in ordinary()[kind]]
    a_row = max(cost.calls / cost.rows if cost.rows else 0.0 for cost in costs)
    return Budget(TIMES * max(cost.calls for cost in costs), TIMES * a_row)


async def too_dear(path: Path, kind: str, requests: Sequence[Request]) -> tuple[list[str], str]:
    """Return what costs more than it may, and which request had the longest turn."""
    async with service(path) as serving:
        budget = await budget_for(serving, kind)
        group = await serving.cost_of(rows_of_a_group(GROUP_ROWS))
        costs = [(await serving.cost_of(one), one.name) for one in requests]
    longest, name = max(costs, key=lambda one: one[0].held_seconds)
    found = [f"{name}: {cost}, allowed are {budget}" for cost, name in costs if budget.exceeded_by(cost)]
    told = f"the longest turn took {longest.held_seconds * 1000:.0f} ms of the processor ({name})"
    return found, f"{kind}: {told}, that of an ordinary group of rows {group.held_seconds * 1000:.0f} ms"


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_crafted_requests_go_through_each_door(kind: str) -> None:
    assert kind in ordinary()
    assert len({one.wire for one in [*KINDS[kind]()][::LONG]}) >= ENOUGH


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_crafted_request_is_much_dearer_than_an_ordinary_one(
    kind: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    requests = [*KINDS[kind]()][::LONG]
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        found, longest = runner.run(too_dear(tmp_path / "postback.db", kind, requests))
    figures(longest)
    assert found == []


async def peaks(path: Path, usual: Sequence[Request], crafted: Sequence[Request]) -> list[str]:
    """Return what takes more memory than four of the usual ones that takes most, of the same bytes or rows."""
    async with service(path) as serving:
        rows = [max(1, await serving.rows_of(one)) for one in usual]
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
            if peak > most and peak > most_a_row * await serving.rows_of(one)
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
