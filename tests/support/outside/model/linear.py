"""Owns the search for an order of a key's postbacks that is consistent with real time and explains them all.

Wing and Gong's search with Lowe's memory: what was placed and the conversion that it left is tried once. An operation
is placed where the model gives its outcome. A row says that no erasure comes after its operation; an answer without a
row says that one does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.support.outside.model.history import Erasure, Operation, Row
from tests.support.outside.model.rules import CHANGING, NEVER, Conversion, Said, judge

MOST_STEPS = 300_000

_Test = Callable[[Operation | Erasure], bool]


class _Step(NamedTuple):
    """A position of the search: which events are placed (bits), which rows of nobody are taken, and what is stored.

    `owing`: something is placed whose row an erasure must yet take.
    """

    placed: int
    taken: int
    conversion: Conversion
    owing: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the search came to: an order (tags, and `erase`), complete or the longest that it could make."""

    explained: bool
    placed: tuple[str, ...]
    conversion: Conversion
    stuck: tuple[Operation, ...] = ()
    given_up: bool = False


class Search:
    """The search through one key's operations and the erasures of its click id."""

    def __init__(
        self,
        operations: Sequence[Operation],
        erasures: Sequence[Erasure],
        nobodys: Sequence[Row],
        meanings: Callable[[Operation], Sequence[Said]],
    ) -> None:
        self._meanings = meanings
        self._events: list[Operation | Erasure] = [*sorted(operations, key=lambda one: one.sent), *erasures]
        self._nobodys = [row.request_id for row in nobodys]
        self._before = [self._mask(partial(_precedes, other=one)) for one in self._events]
        self._needed = self._mask(lambda one: one.surely)
        self._erasures = self._mask(lambda one: isinstance(one, Erasure))
        self._with_rows = self._mask(lambda one: isinstance(one, Operation) and one.row is not None)
        self._all_taken = (1 << len(self._nobodys)) - 1

    def _mask(self, holds: _Test) -> int:
        return sum(1 << number for number, event in enumerate(self._events) if holds(event))

    def order(self) -> Order:
        """Return an order that explains everything, or the longest that explains its beginning."""
        first = _Step(0, 0, NEVER)
        paths: dict[_Step, _Step | None] = {first: None}
        waiting, best = [first], first
        while waiting and len(paths) < MOST_STEPS:
            step = waiting.pop()
            if self._complete(step):
                return Order(explained=True, placed=self._path(step, paths), conversion=step.conversion)
            if (step.placed & self._needed).bit_count() > (best.placed & self._needed).bit_count():
                best = step
            for following in self._following(step):
                if following not in paths:
                    paths[following] = step
                    waiting.append(following)
        stuck = tuple(event for event in self._enabled(best) if isinstance(event, Operation) and event.surely)
        return Order(
            explained=False,
            placed=self._path(best, paths),
            conversion=best.conversion,
            stuck=stuck,
            given_up=bool(waiting),
        )

    def _complete(self, step: _Step) -> bool:
        return step.placed & self._needed == self._needed and step.taken == self._all_taken and not step.owing

    def _enabled(self, step: _Step) -> Iterator[Operation | Erasure]:
        for number, event in enumerate(self._events):
            if not step.placed >> number & 1 and self._before[number] & ~step.placed == 0:
                yield event

    def _following(self, step: _Step) -> list[_Step]:
        """Return where the search may go on; something that changes nothing and fits is placed without a choice."""
        found: list[_Step] = []
        for number, event in enumerate(self._events):
            if step.placed >> number & 1 or self._before[number] & ~step.placed:
                continue
            one = step._replace(placed=step.placed | 1 << number)
            if isinstance(event, Erasure):
                if not step.placed & self._with_rows and not step.taken:
                    found.append(one._replace(conversion=NEVER, owing=False))
                continue
            judged = dict.fromkeys(judge(step.conversion, said) for said in self._meanings(event))
            ways = [way for outcome, after in judged for way in self._ways(event, step, one, outcome, after)]
            if event.outcome and [way.conversion for way in ways] == [step.conversion]:
                return ways
            found.extend(ways)
        return found

    def _ways(self, event: Operation, step: _Step, one: _Step, outcome: str, after: Conversion) -> list[_Step]:
        """Return in which ways an operation may be placed now, with what the model says of it."""
        left = self._erasures & ~step.placed
        if event.row:
            numbered = event.row.number in (0, len(step.conversion))
            fits = outcome == event.row.outcome and numbered and not left & self._needed and not step.owing
            return [one._replace(conversion=after)] if fits else []
        ways = []
        if outcome == "duplicate" and not left & self._needed and not step.owing:
            ways += [one._replace(taken=one.taken | bit) for bit in self._free_bits(event, step)]
        if not left and not event.of_the_whole:
            return ways
        one = one._replace(owing=step.owing or not event.of_the_whole)
        if event.outcome:
            ways += [one._replace(conversion=after)] if outcome == event.outcome else []
        else:
            ways += [one._replace(conversion=after)] if outcome in CHANGING else []
            ways += [one] if event.surely else []  # spooled, and erased before it was drained
        return ways

    def _free_bits(self, event: Operation, step: _Step) -> list[int]:
        bits = [1 << self._nobodys.index(row.request_id) for row in event.perhaps]
        return [bit for bit in bits if not bit & step.taken]

    def _path(self, step: _Step | None, paths: dict[_Step, _Step | None]) -> tuple[str, ...]:
        names: list[str] = []
        while step and (earlier := paths[step]):
            event = self._events[(step.placed ^ earlier.placed).bit_length() - 1]
            names.append(event.tag if isinstance(event, Operation) else "erase")
            step = earlier
        return tuple(reversed(names))


def _precedes(one: Operation | Erasure, other: Operation | Erasure) -> bool:
    """Tell whether one must come before the other."""
    if not one.surely or one is other:
        return False
    if isinstance(one, Erasure):
        return one.ended < (other.began if isinstance(other, Erasure) else other.sent)
    if isinstance(other, Erasure):
        return one.ended < other.began
    if one.group and one.group == other.group:
        return one.place < other.place
    spooled_here = one.answer == "spooled" and one.host == other.host != ""
    return one.answered < other.sent if spooled_here else one.ended < other.sent
