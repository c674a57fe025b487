"""A portion is so many rows, or fewer large ones, and nothing is lost between two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import chunk as module
from service.core.chunk import portion

SIZES = st.lists(st.integers(0, 2 * module.PORTION_BYTES))


@given(sizes=SIZES, most=st.integers(1, 9))
def test_portions_are_short_hold_each_row_once_and_say_which_is_the_last(sizes: list[int], most: int) -> None:
    rows, portions, complete = iter(sizes), [], False
    while not complete:
        some, complete = portion(rows, most, lambda size: size)
        portions.append(some)
    assert [size for some in portions for size in some] == sizes
    assert max(map(len, portions)) <= most
    assert all(sum(some[:-1]) < module.PORTION_BYTES for some in portions)


@pytest.mark.parametrize(
    ("sizes", "taken", "complete"),
    [
        ([], 0, True),
        ([module.PORTION_BYTES - 1], 1, True),
        ([module.PORTION_BYTES, 1], 1, False),
        ([1, module.PORTION_BYTES - 1, 1], 2, False),
        ([0, 0, 0], 3, False),
        ([0, 0], 2, True),
    ],
)
def test_a_portion_ends_with_the_row_that_fills_it(sizes: list[int], taken: int, *, complete: bool) -> None:
    assert portion(sizes, 3, lambda size: size) == (sizes[:taken], complete)
