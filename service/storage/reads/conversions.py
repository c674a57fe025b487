"""Owns the walk through what is stored: every conversion that is chosen, in the order of its key, page by page.

The key's order, because the table has no other: an index by time would be one more to write for every postback.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, RowMapping, Select, select, tuple_
from sqlmodel import SQLModel

from service.core.chunk import next_chunk
from service.storage.ledger import CHANGE, CONVERSION
from service.storage.pool import Access
from service.storage.reads.history import SENDERS

PAGE_ROWS = 5_000  # 2 MB or so, at most a chunk; each page is a short read of its own
_FETCHED_ROWS = 100  # at once: with 64 KiB of params each, 6 MiB

_TABLE = SQLModel.metadata.tables[CONVERSION.name].c
_CHANGES = SQLModel.metadata.tables[CHANGE.name].c
_PLACE = (_TABLE.click_id, _TABLE.goal, _TABLE.transaction_id)


class Stored(NamedTuple):
    """A conversion as it is stored, the columns of CONVERSION in their order; but its status is the one it has now.

    `current_value`, in millionths and its currency beside it, is the last that was sent with a status, or the first.
    `changed_at` is when the status was last changed.
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

    def changed(self, change: "RowMapping") -> "Stored":
        """Return what it is after a change."""
        now = self._replace(conversion_status=change["conversion_status"], changed_at=change["received_at"])
        if not change["value"]:
            return now
        return now._replace(
            current_value=change["value"],
            current_value_micros=change["value_micros"],
            current_currency=change["currency"],
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversions are meant; what is left empty excludes none. `since` is included, `until` is not."""

    sender: str | None = None
    click_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tests: bool = False  # also what was sent as a test


class Conversions:
    """Reads of a database, which may be served at the same time. StorageError: not there, or not ours.

    `access` must not be able to write.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def pages(self, wanted: Wanted) -> Iterator[list[Stored]]:
        """Walk through the chosen conversions by sender, then click id, goal and transaction id."""
        for sender in self._senders(wanted.sender):
            for is_test in (False, True) if wanted.tests else (False,):
                yield from self._walk(wanted, sender, is_test=is_test)

    def received(self, click_ids: Sequence[str]) -> dict[str, list[datetime]]:
        """Return when the conversions of each of these click ids were received, tests left out."""
        found: dict[str, list[datetime]] = defaultdict(list)
        for sender in self._senders(None):
            query = select(_TABLE.click_id, _TABLE.received_at).where(
                _TABLE.sender == sender, _TABLE.is_test.is_(False), _TABLE.click_id.in_(click_ids)
            )
            with self._access.session() as session:
                for click_id, received_at in session.connection().execute(query):
                    found[click_id].append(received_at)
        return found

    def _senders(self, sender: str | None) -> Sequence[str]:
        if sender is not None:
            return [sender]
        with self._access.session() as session:
            return session.connection().execute(SENDERS).scalars().all()

    def _walk(self, wanted: Wanted, sender: str, *, is_test: bool) -> Iterator[list[Stored]]:
        last: Stored | None = None
        while True:
            page = page_after(last, wanted, sender, is_test=is_test)
            with self._access.session() as session:
                with session.connection().execute(page) as found:
                    rows, complete = next_chunk(map(_stored, found), PAGE_ROWS, _size)
                if rows:
                    with session.connection().execute(_changes_between(rows[0], rows[-1])) as changes:
                        rows = _with_changes(rows, changes.mappings())
            if rows:
                yield rows
            if complete:
                return
            last = rows[-1]


def _stored(row: Row[tuple[Any, ...]]) -> Stored:
    return Stored._make((*row, row.value, row.value_micros, row.currency, None))


def _size(row: Stored) -> int:
    return len(orjson.dumps(row.params))


def _changes_between(first: Stored, last: Stored) -> Select[tuple[object, ...]]:
    """Return the query for the changes of one page's conversions, each conversion's in their order."""
    place = (_CHANGES.click_id, _CHANGES.goal, _CHANGES.transaction_id)
    told = (_CHANGES.conversion_status, _CHANGES.value, _CHANGES.value_micros, _CHANGES.currency, _CHANGES.received_at)
    return (
        select(*place, *told)
        .where(_CHANGES.sender == first.sender, _CHANGES.is_test == first.is_test)
        .where(tuple_(*place) >= tuple_(*_place(first)), tuple_(*place) <= tuple_(*_place(last)))
        .order_by(*place, _CHANGES.number)
        .execution_options(yield_per=_FETCHED_ROWS)
    )


def _with_changes(rows: list[Stored], changes: Iterable[RowMapping]) -> list[Stored]:
    by_place = {_place(row): row for row in rows}
    for change in changes:
        place = (change["click_id"], change["goal"], change["transaction_id"])
        if place in by_place:
            by_place[place] = by_place[place].changed(change)
    return list(by_place.values())


def _place(row: Stored) -> tuple[str, str, str]:
    return (row.click_id, row.goal, row.transaction_id)


def page_after(last: Stored | None, wanted: Wanted, sender: str, *, is_test: bool) -> Select[tuple[object, ...]]:
    """Return the query for one page: the beginning of the primary key is given, so the rest of it is read in order."""
    chosen = select(*(_TABLE[name] for name in CONVERSION.columns)).order_by(*_PLACE)
    chosen = chosen.where(_TABLE.sender == sender, _TABLE.is_test == is_test).limit(PAGE_ROWS)
    chosen = chosen.execution_options(yield_per=_FETCHED_ROWS)
    if last is not None:
        chosen = chosen.where(tuple_(*_PLACE) > tuple_(*_place(last)))
    if wanted.click_id is not None:
        chosen = chosen.where(_TABLE.click_id == wanted.click_id)
    if wanted.since is not None:
        chosen = chosen.where(_TABLE.received_at >= wanted.since)
    if wanted.until is not None:
        chosen = chosen.where(_TABLE.received_at < wanted.until)
    return chosen
