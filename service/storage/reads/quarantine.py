"""Owns the reads of what was not accepted: chosen by filters, listed, counted, and walked through page by page."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, func, tuple_
from sqlmodel import col, or_, select

from service.core.chunk import CHUNK_BYTES, next_chunk
from service.storage.pool import Pool
from service.storage.reads.paging import Cursor, Page, cursor_to, position_of, walk
from service.storage.schema.tables import RejectedPostback, Replay, SharedInput
from service.storage.shared_input import whole

PAGE_ROWS = 200  # no more than a batch of the ledger's; fewer if their raw input, 128 KiB each at most, is a chunk
_FETCHED_ROWS = 50  # at once


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rejected postbacks are meant; what is left empty excludes none. `since` is included, `until` is not."""

    outcomes: tuple[str, ...] = ()
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    click_id: str | None = None
    not_replayed: bool = False
    key_id: str | None = None
    client_ip: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row must fulfil."""
        row = RejectedPostback
        equal = (
            *((row.sender, self.sender), (row.click_id, self.click_id)),
            *((row.key_id, self.key_id), (row.client_ip, self.client_ip)),
        )
        wanted: list[ColumnElement[bool]] = [col(column) == value for column, value in equal if value is not None]
        if self.outcomes:
            wanted.append(col(row.outcome).in_(self.outcomes))
        if self.since:
            wanted.append(col(row.received_at) >= self.since)
        if self.until:
            wanted.append(col(row.received_at) < self.until)
        if self.not_replayed:
            wanted.append(col(row.replayed_at).is_(None))
        return wanted


class _Position(NamedTuple):
    received_at: AwareDatetime
    id: int


class Quarantine:
    """Reads of a database, which may be served at the same time. StorageError: not there, or not ours.

    `reads` must not be able to write.
    """

    def __init__(self, reads: Pool) -> None:
        self._reads = reads

    def count(self, chosen: Chosen) -> int:
        """Return how many rows are chosen."""
        return self.counts(chosen).total()

    def counts(self, chosen: Chosen) -> Counter[str]:
        """Return how many of the chosen rows there are of each outcome."""
        outcome = col(RejectedPostback.outcome)
        counted = select(outcome, func.count()).where(*chosen.conditions()).group_by(outcome)
        with self._reads.session() as session:
            return Counter(dict(session.exec(counted).all()))

    def newest(self, chosen: Chosen, limit: int) -> list[RejectedPostback]:
        """Return the chosen rows that came last, newest first."""
        return list(islice(chain.from_iterable(self.pages(chosen)), limit))

    def pages(self, chosen: Chosen, *, oldest_first: bool = False) -> Iterator[list[RejectedPostback]]:
        """Walk through the chosen rows in the order of their arrival; each page is a short read of its own."""
        return walk(lambda after: self.page(chosen, after, oldest_first=oldest_first))

    def page(
        self,
        chosen: Chosen,
        after: Cursor | None = None,
        limit: int = PAGE_ROWS,
        most_bytes: int = CHUNK_BYTES,
        *,
        oldest_first: bool = False,
    ) -> Page[RejectedPostback]:
        """Return as many of the chosen rows, or fewer, which have `most_bytes` of raw input.

        Raises ValueError for a cursor of another list.
        """
        name = "rejected, oldest first" if oldest_first else "rejected, newest first"
        page = select(RejectedPostback, col(SharedInput.content)).join(SharedInput, _SHARES, isouter=True)
        page = page.where(*chosen.conditions()).order_by(*_order(oldest_first=oldest_first))
        if after is not None:
            last = tuple_(*position_of(name, _Position, after))  # a pair, because many rows may come at one moment
            place = tuple_(col(RejectedPostback.received_at), col(RejectedPostback.id))
            page = page.where(place > last if oldest_first else place < last)
        page = page.limit(limit).execution_options(yield_per=_FETCHED_ROWS)
        with self._reads.session() as session, session.exec(page) as found:
            read = (whole(row, content) for row, content in found)
            rows, complete = next_chunk(read, limit, lambda row: len(row.raw), most_bytes)
        if complete:
            return Page(rows, None)
        return Page(rows, cursor_to(name, _Position(rows[-1].received_at, rows[-1].id or 0)))

    def one(self, id_or_request_id: str) -> RejectedPostback | None:
        """Return the row with this id or request_id."""
        name = RejectedPostback
        wanted = select(name, col(SharedInput.content)).join(SharedInput, _SHARES, isouter=True)
        numbered = id_or_request_id.isdecimal() and len(id_or_request_id) < len(str(2**63))
        same = col(name.id) == int(id_or_request_id) if numbered else col(name.request_id) == id_or_request_id
        with self._reads.session() as session:
            found = session.exec(wanted.where(same)).first()
        return whole(*found) if found else None

    def replays_of(self, request_ids: Collection[str]) -> dict[str, Replay]:
        """Return the replays that were begun of rejected postbacks, by the request_ids of these."""
        begun = select(Replay).where(col(Replay.rejected_request_id).in_(request_ids))
        with self._reads.session() as session:
            return {replay.rejected_request_id: replay for replay in session.exec(begun)}

    def replay_of(self, request_id: str) -> Replay | None:
        """Return the replay that a request_id is part of, as the rejected one or as the new one."""
        part = or_(col(Replay.rejected_request_id) == request_id, col(Replay.request_id) == request_id)
        with self._reads.session() as session:
            return session.exec(select(Replay).where(part)).first()


_SHARES = col(SharedInput.digest) == col(RejectedPostback.shared)


def _order(*, oldest_first: bool = False) -> tuple[ColumnElement[datetime], ColumnElement[int | None]]:
    moment, number = col(RejectedPostback.received_at), col(RejectedPostback.id)
    return (moment.asc(), number.asc()) if oldest_first else (moment.desc(), number.desc())
