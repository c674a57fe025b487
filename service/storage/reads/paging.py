"""Owns stable pages: a cursor says after which row a list goes on, whatever is added or deleted meanwhile.

It holds the last row's place in an order that never changes, so every row that stays is seen once, and none twice.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import cache
from typing import Generic, NamedTuple, TypeVar

import orjson
from pydantic import TypeAdapter

_INTEGER_BITS = 64  # of both engines, with the sign

Cursor = str  # opaque: it comes from a page and goes back to the same list
Row = TypeVar("Row")
Position = TypeVar("Position", bound=NamedTuple)


class Page(NamedTuple, Generic[Row]):
    """Some rows of a list; `next` is the cursor to go on with, None when these are the last."""

    rows: list[Row]
    next: Cursor | None


def walk(page_after: Callable[[Cursor | None], Page[Row]]) -> Iterator[list[Row]]:
    """Yield page after page, each with at least one row."""
    after: Cursor | None = None
    while True:
        rows, after = page_after(after)
        if rows:
            yield rows
        if after is None:
            return


def cursor_to(order: str, position: NamedTuple) -> Cursor:
    """Return the cursor for a position in an order, which is named so that no other list takes it."""
    return urlsafe_b64encode(orjson.dumps([order, *position])).decode().rstrip("=")


def position_of(order: str, kind: type[Position], cursor: Cursor) -> Position:
    """Return the position that a cursor stands for. Raises ValueError for one that this order did not give."""
    try:
        named, *values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position: Position = _adapter(kind).validate_json(orjson.dumps(values), strict=True)
    except (TypeError, ValueError):
        named = None
    if named != order or any(isinstance(value, int) and value.bit_length() >= _INTEGER_BITS for value in position):
        raise ValueError("this cursor is none of this list's: begin again without one")
    return position


@cache
def _adapter(kind: type[Position]) -> TypeAdapter[Position]:
    return TypeAdapter(kind)
