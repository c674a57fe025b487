"""Owns the walk through what is stored: every conversion that is chosen, in the order of its key, page by page.

The key's order, because the table has no other: an index by time would be one more to write for every postback.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Row, RowMapping, Select, func, select, tuple_

from service.core.chunk import CHUNK_BYTES, ChunkSize, next_chunk
from service.storage.pool import Pool
from service.storage.reads.history import SENDERS
from service.storage.reads.paging import Cursor, Page, cursor_to, position_of, walk
from service.storage.schema.registry import CHANGE, CONVERSION, CORRECTION, StoredTable

PAGE_ROWS = 5_000  # 2 MB or so, at most a chunk; each page is a short read of its own
_FETCHED_ROWS = 100  # at once: with 64 KiB of params each, 6 MiB

_ORDER = "conversions"
_Place = tuple[str, str, str]  # of a conversion among those of its sender: click id, goal, transaction id
_TABLE = CONVERSION.table.c
_PLACE = (_TABLE.click_id, _TABLE.goal, _TABLE.transaction_id)


class Stored(NamedTuple):
    """A conversion as it is stored, the columns of CONVERSION in their order; but its status is the one it has now.

    `current_value`, in millionths and its currency beside it, is the last that was sent with a status, or the first, as
    it is read now. `changed_at` is when the status was last changed, `corrected_at` when a person last had something
    read again, `drained_at` when it left a spool: its sender was told `spooled`.
    """

    sender: str
    is_test: bool
    click_id: str
    goal: str
    transaction_id: str
    value: str
    value_micros: int
    currency: str | None
    params: Mapping[str, object]
    received_at: datetime
    request_id: str
    door: str
    conversion_status: str | None
    current_value: str
    current_value_micros: int
    current_currency: str | None
    changed_at: datetime | None = None
    drained_at: datetime | None = None
    corrected_at: datetime | None = None

    def changed(self, change: "RowMapping", correction: "RowMapping | None") -> "Stored":
        """Return what it is after a change, which is read as its last correction says, if there is one."""
        now = self.told(correction or change) if (correction or change)["value"] else self
        status, changed_at = (correction or change)["conversion_status"], change["received_at"]
        return now._replace(conversion_status=status, changed_at=changed_at)

    def told(self, row: "RowMapping") -> "Stored":
        """Return what it is by what a change or a correction says of its value."""
        return self._replace(
            current_value=row["value"],
            current_value_micros=row["value_micros"],
            current_currency=row["currency"],
        )


class Received(NamedTuple):
    """When a conversion came, whose it is, and whether it counts nowhere."""

    received_at: datetime
    sender: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversions are meant; what is left empty excludes none. `since` is included, `until` is not."""

    sender: str | None = None
    click_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tests: bool = False  # also what was sent as a test

    def after(self, now: datetime) -> "Wanted":
        """Return what is left out because it is from after now."""
        return replace(self, since=max(now, self.since or now, self.until or now), until=None)


class _Position(NamedTuple):
    sender: str
    is_test: bool
    click_id: str
    goal: str
    transaction_id: str


def _position(row: Stored) -> _Position:
    return _Position(row.sender, row.is_test, row.click_id, row.goal, row.transaction_id)


class Conversions:
    """Reads of a database, which may be served at the same time. StorageError: not there, or not ours.

    `reads` must not be able to write.
    """

    def __init__(self, reads: Pool) -> None:
        self._reads = reads

    def pages(self, wanted: Wanted) -> Iterator[list[Stored]]:
        """Walk through the chosen conversions by sender, then click id, goal and transaction id."""
        return walk(lambda after: self.page(wanted, after))

    def page(
        self, wanted: Wanted, after: Cursor | None = None, limit: int = PAGE_ROWS, most_bytes: int = CHUNK_BYTES
    ) -> Page[Stored]:
        """Return as many of them, or fewer, which have `most_bytes` of params; only the last page may be empty.

        Raises ValueError for a cursor of another list.
        """
        last = None if after is None else position_of(_ORDER, _Position, after)
        stretches, size = self._stretches(wanted, last), ChunkSize(limit, most_bytes)
        for number, (sender, is_test) in enumerate(stretches, start=1):
            begun = last[2:] if last and (last.sender, last.is_test) == (sender, is_test) else None
            rows, complete = self._read(page_after(begun, wanted, sender, limit, is_test=is_test), size)
            if rows:
                all_read = complete and number == len(stretches)
                return Page(rows, None if all_read else cursor_to(_ORDER, _position(rows[-1])))
        return Page([], None)

    def count(self, wanted: Wanted) -> int:
        """Return how many are chosen. Reads all of them."""
        number = 0
        if wanted.since and wanted.until and wanted.until <= wanted.since:
            return number
        for sender, is_test in self._stretches(wanted, None):
            chosen = (
                select(func.count()).select_from(CONVERSION.table).where(*_conditions(wanted, sender, is_test=is_test))
            )
            with self._reads.session() as session:
                number += session.connection().execute(chosen).scalar_one()
        return number

    def received(self, click_ids: Sequence[str]) -> dict[str, list[Received]]:
        """Return when the conversions of each of these click ids were received, of every sender, tests included."""
        found: dict[str, list[Received]] = defaultdict(list)
        for sender, is_test in product(self._senders(None), (False, True)):
            query = select(_TABLE.click_id, _TABLE.received_at).where(
                _TABLE.sender == sender, _TABLE.is_test == is_test, _TABLE.click_id.in_(click_ids)
            )
            with self._reads.session() as session:
                for click_id, received_at in session.connection().execute(query):
                    found[click_id].append(Received(received_at, sender, is_test))
        return found

    def _senders(self, sender: str | None) -> Sequence[str]:
        if sender is not None:
            return [sender]
        with self._reads.session() as session:
            return session.connection().execute(SENDERS).scalars().all()

    def _stretches(self, wanted: Wanted, last: "_Position | None") -> list[tuple[str, bool]]:
        """Return the beginnings of the keys that are left, in their order; each stretch of rows is read by itself."""
        kinds = (False, True) if wanted.tests else (False,)
        stretches = product(self._senders(wanted.sender), kinds)
        return [one for one in stretches if last is None or one >= (last.sender, last.is_test)]

    def _read(self, page: Select[tuple[object, ...]], size: ChunkSize) -> tuple[list[Stored], bool]:
        with self._reads.session() as session:
            with session.connection().execute(page) as found:
                rows, complete = next_chunk(map(_stored, found), size.rows, _size, size.bytes)
            if rows:
                connection = session.connection()
                corrections = connection.execute(_between(CORRECTION, rows[0], rows[-1], "corrected_at"))
                with connection.execute(_between(CHANGE, rows[0], rows[-1], "received_at")) as changes:
                    rows = _with_history(rows, _Corrections(corrections.mappings()), changes.mappings())
        return rows, complete


def _stored(row: Row[tuple[Any, ...]]) -> Stored:
    return Stored._make((*row[:-1], row.value, row.value_micros, row.currency, None, row.drained_at, None))


def _size(row: Stored) -> int:
    return len(orjson.dumps(row.params))


class _Corrections:
    """The last corrections of what is said of one page's conversions."""

    def __init__(self, corrections: Iterable[RowMapping]) -> None:
        self._last: dict[tuple[_Place, int], RowMapping] = {}
        self._at: dict[_Place, datetime] = {}
        for row in corrections:
            place = _place_of(row)
            self._last[place, row["number"]] = row
            self._at[place] = max(row["corrected_at"], self._at.get(place, row["corrected_at"]))

    def of(self, place: _Place, number: int) -> RowMapping | None:
        """Return how the first that was said (0), or a change, is read now; None: as it was."""
        return self._last.get((place, number))

    def first(self, row: Stored) -> Stored:
        """Return what a conversion was at first, as that is read now."""
        place = _place(row)
        if correction := self.of(place, 0):
            row = row.told(correction)._replace(conversion_status=correction["conversion_status"])
        return row._replace(corrected_at=self._at.get(place))


def _with_history(rows: list[Stored], corrections: _Corrections, changes: Iterable[RowMapping]) -> list[Stored]:
    by_place = {_place(row): corrections.first(row) for row in rows}
    for change in changes:
        place = _place_of(change)
        if place in by_place:
            by_place[place] = by_place[place].changed(change, corrections.of(place, change["number"]))
    return list(by_place.values())


def _between(table: StoredTable, first: Stored, last: Stored, moment: str) -> Select[tuple[object, ...]]:
    """Return the query for the changes, or corrections, of one page's conversions, each conversion's in their order."""
    columns = table.table.c
    place = [columns[name] for name in ("click_id", "goal", "transaction_id")]
    told = ("number", "conversion_status", "value", "value_micros", "currency", moment)
    return (
        select(*place, *(columns[name] for name in told))
        .where(columns.sender == first.sender, columns.is_test == first.is_test)
        .where(tuple_(*place) >= tuple_(*_place(first)), tuple_(*place) <= tuple_(*_place(last)))
        .order_by(*(columns[name] for name in table.key))
        .execution_options(yield_per=_FETCHED_ROWS)
    )


def _place_of(row: RowMapping) -> _Place:
    return (row["click_id"], row["goal"], row["transaction_id"])


def _place(row: Stored) -> _Place:
    return (row.click_id, row.goal, row.transaction_id)


def page_after(
    last: tuple[str, str, str] | None, wanted: Wanted, sender: str, limit: int = PAGE_ROWS, *, is_test: bool
) -> Select[tuple[object, ...]]:
    """Return the query for one page: the beginning of the primary key is given, so the rest of it is read in order."""
    chosen = select(*(_TABLE[name] for name in CONVERSION.columns), _TABLE.drained_at).order_by(*_PLACE)
    chosen = chosen.where(*_conditions(wanted, sender, is_test=is_test)).limit(limit)
    chosen = chosen.execution_options(yield_per=_FETCHED_ROWS)
    return chosen if last is None else chosen.where(tuple_(*_PLACE) > tuple_(*last))


def _conditions(wanted: Wanted, sender: str, *, is_test: bool) -> Iterator[ColumnElement[bool]]:
    yield _TABLE.sender == sender
    yield _TABLE.is_test == is_test
    if wanted.click_id is not None:
        yield _TABLE.click_id == wanted.click_id
    if wanted.since is not None:
        yield _TABLE.received_at >= wanted.since
    if wanted.until is not None:
        yield _TABLE.received_at < wanted.until
