"""A chunk is so many rows, or fewer large ones, and nothing is lost between two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import chunk as module
from service.core.chunk import next_chunk

SIZES = st.lists(st.integers(0, 2 * module.CHUNK_BYTES))


@given(sizes=SIZES, most=st.integers(1, 9))
def test_chunks_are_short_hold_each_row_once_and_say_which_is_the_last(sizes: list[int], most: int) -> None:
    rows, chunks, complete = iter(sizes), [], False
    while not complete:
        some, complete = next_chunk(rows, most, lambda size: size)
        chunks.append(some)
    assert [size for some in chunks for size in some] == sizes
    assert max(map(len, chunks)) <= most
    assert all(sum(some[:-1]) < module.CHUNK_BYTES for some in chunks)


@pytest.mark.parametrize(
    ("sizes", "taken", "complete"),
    [
        ([], 0, True),
        ([module.CHUNK_BYTES - 1], 1, True),
        ([module.CHUNK_BYTES, 1], 1, False),
        ([1, module.CHUNK_BYTES - 1, 1], 2, False),
        ([0, 0, 0], 3, False),
        ([0, 0], 2, True),
    ],
)
def test_a_chunk_ends_with_the_row_that_fills_it(sizes: list[int], taken: int, *, complete: bool) -> None:
    assert next_chunk(sizes, 3, lambda size: size) == (sizes[:taken], complete)
