"""Owns how much is worked on at a time: so many rows, and fewer where they are large."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple, TypeVar

CHUNK_BYTES = 2 * 2**20  # of what may be large in a row; a copy or two of it are made in other forms


class ChunkSize(NamedTuple):
    """How much a chunk takes at most: so many rows, and so many bytes of what may be large in them."""

    rows: int
    bytes: int


Row = TypeVar("Row")


def next_chunk(
    rows: Iterable[Row], most: int, size: Callable[[Row], int], most_bytes: int = CHUNK_BYTES
) -> tuple[list[Row], bool]:
    """Take rows from the beginning: `most`, or fewer if those have `most_bytes`, one at least; say if that was all.

    Of an iterator nothing is consumed beyond what is returned.
    """
    taken: list[Row] = []
    bytes_taken = 0
    for row in islice(rows, most):
        taken.append(row)
        bytes_taken += size(row)
        if bytes_taken >= most_bytes:
            return taken, False
    return taken, len(taken) < most
