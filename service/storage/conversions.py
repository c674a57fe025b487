"""Owns the walk through what is stored: every conversion that is chosen, in the order of its key, page by page.

The key's order, because the table has no other: an index by time would be one more to write for every postback.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, select, tuple_
from sqlmodel import SQLModel

from service.storage.access import Access
from service.storage.history import SENDERS
from service.storage.ledger import CONVERSION

PAGE_ROWS = 5_000  # 2 MB or so; each page is a short read of its own

_TABLE = SQLModel.metadata.tables[CONVERSION.name].c
_PLACE = (_TABLE.click_id, _TABLE.goal, _TABLE.transaction_id)


class Stored(NamedTuple):
    """A conversion as it is stored: the columns of CONVERSION, in their order."""

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
                rows = [Stored._make(row) for row in session.connection().execute(page)]
            if rows:
                yield rows
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1]


def page_after(last: Stored | None, wanted: Wanted, sender: str, *, is_test: bool) -> Select[tuple[object, ...]]:
    """Return the query for one page: the beginning of the primary key is given, so the rest of it is read in order."""
    chosen = select(*(_TABLE[name] for name in CONVERSION.columns)).order_by(*_PLACE)
    chosen = chosen.where(_TABLE.sender == sender, _TABLE.is_test == is_test).limit(PAGE_ROWS)
    if last is not None:
        chosen = chosen.where(tuple_(*_PLACE) > tuple_(last.click_id, last.goal, last.transaction_id))
    if wanted.click_id is not None:
        chosen = chosen.where(_TABLE.click_id == wanted.click_id)
    if wanted.since is not None:
        chosen = chosen.where(_TABLE.received_at >= wanted.since)
    if wanted.until is not None:
        chosen = chosen.where(_TABLE.received_at < wanted.until)
    return chosen
