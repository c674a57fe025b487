"""Owns the check that what was sent and answered explains every row that is found, and the rows every answer."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.support.outside.model.history import Erasure, History, Operation, Row
from tests.support.outside.model.linear import Order, Search
from tests.support.outside.model.matching import match
from tests.support.outside.model.rules import ACCEPTED, FAILED, NOTHING, Key

_CLOCK_SECONDS = 0.1  # how far the moments of sender and receiver may be apart: they share a clock, and round it


@dataclass(frozen=True)
class Difference:
    """Something that no order explains; `operations` is the history that it is about."""

    kind: str
    sentence: str
    key: Key | None = None
    operations: tuple[Operation, ...] = ()
    erasures: tuple[Erasure, ...] = ()
    rows: tuple[Row, ...] = ()
    order: Order | None = None


class Check:
    """One round's history held against the rows of its click ids."""

    def __init__(self, history: History, rows: Sequence[Row]) -> None:
        self._history = history
        self._rows = rows
        self._erasures: dict[str, list[Erasure]] = defaultdict(list)
        for erasure in history.erasures:
            self._erasures[erasure.click_id].append(erasure)

    def differences(self) -> list[Difference]:
        """Return everything that the model cannot explain."""
        nobodys = match(self._history.operations, self._rows)
        found = [*self._rows_twice(), *self._rows_of_nobody(nobodys)]
        for operation in self._history.operations:
            found += self._of_one(operation)
        found += self._halves()
        unexplained = {one.tag for difference in found for one in difference.operations}
        return found + list(self._without_an_order(nobodys, unexplained))

    def _rows_twice(self) -> Iterator[Difference]:
        counts = Counter(row.request_id for row in self._rows)
        for request_id, count in counts.items():
            if count > 1:
                rows = tuple(row for row in self._rows if row.request_id == request_id)
                said = " and ".join(f"{row.table} ({row.outcome})" for row in rows)
                sentence = f"request id {request_id} has {count} rows: {said}"
                yield self._about(rows[0].key, "doubled", sentence, rows=rows)

    def _rows_of_nobody(self, nobodys: Sequence[Row]) -> Iterator[Difference]:
        claimed = {row.request_id for operation in self._history.operations for row in operation.perhaps}
        for row in nobodys:
            if row.request_id not in claimed:
                yield self._about(
                    row.key, "nobody's", f"nobody sent the row {row.request_id} ({row.outcome})", rows=(row,)
                )

    def _of_one(self, one: Operation) -> Iterator[Difference]:
        """Yield what is wrong with one operation by itself."""
        row = one.row
        if row is None:
            if one.surely and not self._may_be_erased(one):
                yield self._of(one, "lost", f"answered {one.answer}, and no row is found")
            return
        if one.answer in NOTHING:
            yield self._of(one, "not stored, they said", f"answered {one.answer}, and there is a row: {row.outcome}")
        if row.outcome not in (may_be := self._history.may_be(one)):
            yield self._of(one, "another outcome", f"may be {sorted(may_be)}, and is {row.outcome}")
        if row.door != one.door:
            yield self._of(one, "another door", f"came by {one.door}, and the row says {row.door}")
        if one.answer not in {None, "spooled", row.outcome} | FAILED | NOTHING:
            yield self._of(one, "two outcomes", f"answered {one.answer}, and the row says {row.outcome}")
        yield from self._content(one, row)
        yield from self._back(one, row)

    def _content(self, one: Operation, row: Row) -> Iterator[Difference]:
        right = row.key == one.key and row.said in self._history.meanings(one)
        if row.table in ("conversion", "status_change") and not right:
            yield self._of(one, "another content", f"sent {one.key} {one.said}, stored {row.key} {row.said}")

    def _back(self, one: Operation, row: Row) -> Iterator[Difference]:
        """Yield an erased postback that is there: it arrived before the erasure."""
        for erasure in self._erasures[one.key.click_id]:
            arrived = min(row.received_at, one.answered)
            if (
                erasure.surely
                and erasure.at is not None
                and one.door != "import"
                and arrived < erasure.at - _CLOCK_SECONDS
            ):
                yield self._of(one, "erased and back", "it arrived before its click id's erasure, and its row is there")

    def _may_be_erased(self, one: Operation) -> bool:
        click_ids = {one.key.click_id, *(one.mentioned if one.of_the_whole else ())}
        return any(erasure.ended >= one.sent for click_id in click_ids for erasure in self._erasures[click_id])

    def _halves(self) -> Iterator[Difference]:
        groups: dict[str, list[Operation]] = defaultdict(list)
        for operation in self._history.operations:
            if operation.atomic:
                groups[operation.group].append(operation)
        for group in groups.values():
            kept = [one for one in group if one.row and one.row.outcome in ACCEPTED]
            missing = [one for one in group if one not in kept and (one.row or not self._may_be_erased(one))]
            if kept and missing:
                sentence = f"of {len(group)} rows of an atomic batch {len(kept)} are stored"
                yield Difference("half of an atomic batch", sentence, missing[0].key, tuple(group))

    def _without_an_order(self, nobodys: Sequence[Row], unexplained: set[str]) -> Iterator[Difference]:
        by_key: dict[Key, list[Operation]] = defaultdict(list)
        for operation in self._history.operations:
            if operation.answer not in NOTHING and operation.outcome not in operation.rejected:
                by_key[operation.key].append(operation)
        for key, operations in by_key.items():
            if unexplained.isdisjoint(one.tag for one in operations):
                rows = [row for row in nobodys if row.key == key]
                order = Search(operations, self._erasures[key.click_id], rows, self._history.meanings).order()
                if not order.explained:
                    yield Difference(
                        *("no order", _why(order), key, tuple(operations), tuple(self._erasures[key.click_id])),
                        *(tuple(rows), order),
                    )

    def _of(self, one: Operation, kind: str, sentence: str) -> Difference:
        return self._about(one.key, kind, f"{one.tag} {sentence}", rows=(one.row,) if one.row else ())

    def _about(self, key: Key, kind: str, sentence: str, rows: tuple[Row, ...]) -> Difference:
        same = tuple(one for one in self._history.operations if one.key == key)
        return Difference(kind, sentence, key, same, tuple(self._erasures[key.click_id]), rows)


def _why(order: Order) -> str:
    if order.given_up:
        return "the search was given up"
    return "no order consistent with real time gives these outcomes and rows"
