"""Pages, on both engines: while rows come and go, what was there and stays is seen once, and nothing is seen twice."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import repeat
from typing import NamedTuple

import pytest

from service.core.verdict import Entry
from service.storage.deletions.book import Reason
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from service.storage.reads.paging import Cursor, Page, cursor_to, position_of
from service.storage.reads.quarantine import Chosen
from service.storage.schema.tables import Duplicate
from tests.support import builders
from tests.support.engines import Engine

SEEDS = range(4)
LISTS = ("newest first", "oldest first", "conversions", "arrivals", "deletions")


class Position(NamedTuple):
    """A position in an order of this file's own."""

    number: int
    name: str


def listed(engine: Engine, name: str, after: Cursor | None, limit: int) -> Page[str]:
    """Return a page of a list, each row by what tells it from all others."""
    match name:
        case "conversions":
            stored = engine.database.conversions().page(Wanted(tests=True), after, limit)
            return Page([row.request_id for row in stored.rows], stored.next)
        case "arrivals":
            arrivals = engine.database.history().page("same", after, limit)
            return Page([row.request_id for row in arrivals.rows], arrivals.next)
        case "deletions":
            book = engine.database.deletions().book_page(after, limit)
            return Page([f"{row.run} {row.table_name} {row.process}" for row in book.rows], book.next)
    rejected = engine.database.quarantine().page(Chosen(), after, limit, oldest_first=name == "oldest first")
    return Page([row.request_id for row in rejected.rows], rejected.next)


def walked(engine: Engine, name: str, limits: Iterator[int], between: Callable[[], None]) -> list[str]:
    """Walk through a list in pages of changing size, with something done after each."""
    rows, after = listed(engine, name, None, next(limits))
    while after is not None:
        between()
        more, after = listed(engine, name, after, next(limits))
        rows += more
    return rows


class Traffic:
    """Postbacks of every kind, under keys and at moments that fall among those that are there."""

    def __init__(self, engine: Engine, ledger: Ledger, seed: int) -> None:
        self.engine, self._ledger, self._random, self._number = engine, ledger, random.Random(seed), 0  # noqa: S311
        self.deleted = 0

    def come(self, count: int) -> None:
        """Commit some."""
        self._ledger.commit([self._entry() for _ in range(count)])

    def go(self) -> None:
        """Delete a duplicate, which adds to a row of the book, or begins one."""
        found = self.engine.rows("SELECT id FROM duplicate ORDER BY id LIMIT 1")
        self.deleted += 1
        now = builders.RECEIVED_AT + timedelta(hours=7 * self.deleted)
        self.engine.database.deletions().remove(Duplicate, [int(str(row[0])) for row in found], Reason.AGE, now)

    def limits(self) -> Iterator[int]:
        """Yield sizes of pages."""
        while True:
            yield self._random.randint(1, 5)

    def _entry(self) -> Entry:
        self._number += 1
        pick = self._random.choice
        at = builders.RECEIVED_AT + timedelta(seconds=pick((0, 0, 1, 2)))
        request_id = f"{self._random.getrandbits(128):032x}"
        kind = pick(("rejected", "stored", "stored", "repeated"))
        click_id = pick(("same", f"c{self._random.randrange(1000)}"))
        if kind == "rejected":
            return builders.rejection(click_id=click_id, received_at=at, request_id=request_id)
        text = f"c={click_id}&value=1" if kind == "repeated" else f"c={click_id}&value=1&transaction_id={self._number}"
        return builders.postback(text, received_at=at, request_id=request_id)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_while_rows_come_and_go_what_stays_is_seen_once_and_nothing_twice(
    engine: Engine, ledger: Ledger, name: str, seed: int
) -> None:
    traffic = Traffic(engine, ledger, seed)
    traffic.come(40)
    for _ in range(5):
        traffic.go()
    before = everything(engine, name)

    def between() -> None:
        traffic.come(3)
        traffic.go()

    seen = Counter(walked(engine, name, traffic.limits(), between))
    assert max(seen.values()) == 1
    assert set(before) & set(everything(engine, name)) <= set(seen)


def everything(engine: Engine, name: str) -> Sequence[str]:
    rows = walked(engine, name, repeat(10_000), lambda: None)
    assert rows
    return rows


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["", "nonsense", "!", "ä", "WyJhIl0", "NQ", cursor_to("arrivals", Position(1, "x"))])
def test_a_wrong_cursor_is_told(engine: Engine, ledger: Ledger, name: str, cursor: str) -> None:
    assert ledger
    with pytest.raises(ValueError, match="this cursor is none of this list's"):
        listed(engine, name, cursor, 5)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_a_cursor_with_a_number_that_no_engine_has_is_told(number: int) -> None:
    with pytest.raises(ValueError, match="this cursor is none of this list's"):
        position_of("x", Position, cursor_to("x", Position(number, "x")))


def test_a_cursor_is_short_text_for_a_url_and_gives_back_its_position() -> None:
    cursor = cursor_to("x", Position(7, "ä/?&=\n"))
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert position_of("x", Position, cursor) == Position(7, "ä/?&=\n")
