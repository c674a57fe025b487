"""Owns the reads that people ask for: what arrived under a click id, when, and what became of it. Never writes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple, TypeVar

from pydantic import AwareDatetime
from sqlalchemy import text, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback, answered
from service.core.trade_names import unread_in
from service.core.verdict import Change, Correction, Winner, amount, worth
from service.storage.pool import Pool
from service.storage.reads.paging import Cursor, Page, cursor_to, position_of, walk
from service.storage.schema.tables import Conversion, Duplicate, RejectedPostback, StatusChange
from service.storage.schema.tables import Correction as CorrectionRow

Keyed = TypeVar("Keyed", Conversion, StatusChange, CorrectionRow)
Came = TypeVar("Came", Conversion, StatusChange, Duplicate, RejectedPostback)

PAGE_ROWS = 1_000
_ORDER = "arrivals"

# The senders without reading every conversion: one jump in the primary key for each.
SENDERS = text("""
    WITH RECURSIVE known (sender) AS (
        SELECT min(sender) FROM conversion
        UNION ALL
        SELECT (SELECT min(sender) FROM conversion WHERE sender > known.sender) FROM known WHERE sender IS NOT NULL
    )
    SELECT sender FROM known WHERE sender IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One postback that reached us: when, through which door, and what became of it. `detail` says why, or what.

    What waited in a spool was judged at `drained_at`, after the answer.
    """

    received_at: datetime
    outcome: Outcome
    sender: str | None
    door: str
    request_id: str
    detail: str
    is_test: bool = False
    drained_at: datetime | None = None

    @property
    def is_replay(self) -> bool:
        """Whether it came from a person's replay of an earlier one: it did not arrive again."""
        return self.door == "replay"

    @property
    def answered(self) -> Outcome:
        """The outcome that its sender was told."""
        return answered(self.outcome, self.detail, drained=self.drained_at is not None)


class Current(NamedTuple):
    """What a conversion is now: its last status, and the last value that was sent with one or at first."""

    sender: str
    is_test: bool
    goal: str
    transaction_id: str
    value: str
    value_micros: int
    currency: str | None
    conversion_status: str | None


class _Position(NamedTuple):
    received_at: AwareDatetime
    request_id: str


def _position(row: Arrival) -> _Position:
    return _Position(row.received_at, row.request_id)


class History:
    """Reads of a database, which may be served at the same time. StorageError: not there, or not ours.

    `reads` must not be able to write.
    """

    def __init__(self, reads: Pool) -> None:
        self._reads = reads

    def arrivals(self, click_id: str) -> list[Arrival]:
        """Return every postback that named a click id, oldest first, the rejected ones included."""
        return list(chain.from_iterable(walk(lambda after: self.page(click_id, after))))

    def page(self, click_id: str, after: Cursor | None = None, limit: int = PAGE_ROWS) -> Page[Arrival]:
        """Return some of them. Raises ValueError for a cursor of another list."""
        last = None if after is None else position_of(_ORDER, _Position, after)
        with self._reads.session() as session:
            found = [arrival for told in _TOLD for arrival in told(session, click_id, last, limit)]
        rows = sorted(found, key=_position)[:limit]
        return Page(rows, cursor_to(_ORDER, _position(rows[-1])) if len(found) >= limit else None)

    def winners(self, postbacks: Collection[Postback]) -> dict[ConversionKey, Winner]:
        """Return what is stored under each postback's key, where something is."""
        with self._reads.session() as session:
            found = {postback.key: session.get(Conversion, postback.key) for postback in postbacks}
            later = _Later(session, {postback.click_id for postback in postbacks})
            return {key: later.winner(stored) for key, stored in found.items() if stored}

    def conversions(self, click_id: str) -> list[Current]:
        """Return what the conversions of a click id are now, each sender's in the order of goal and transaction id."""
        with self._reads.session() as session:
            later = _Later(session, [click_id])
            return [later.current(stored) for stored in sorted(_of(session, Conversion, [click_id]), key=_key)]

    def corrections(self, click_id: str) -> list[CorrectionRow]:
        """Return the corrections of a click id's conversions, oldest first."""
        with self._reads.session() as session:
            return sorted(_of(session, CorrectionRow, [click_id]), key=lambda row: (row.corrected_at, *_order_of(row)))


class _Later:
    """What was written of some click ids' conversions after they were stored: changes, and corrections."""

    def __init__(self, session: Session, click_ids: Collection[str]) -> None:
        self._changes = _by_key(sorted(_of(session, StatusChange, click_ids), key=lambda change: change.number))
        self._corrections = _by_key(sorted(_of(session, CorrectionRow, click_ids), key=_order_of))

    def winner(self, stored: Conversion) -> Winner:
        """Return a conversion with its history."""
        key = _key(stored)
        return Winner(
            stored.request_id,
            stored.value,
            stored.value_micros,
            stored.currency,
            stored.conversion_status,
            stored.params,
            tuple(map(_change, self._changes[key])),
            tuple(map(_correction, self._corrections[key])),
        )

    def current(self, stored: Conversion) -> Current:
        """Return what a conversion is now."""
        winner = self.winner(stored)
        amount = (winner.worth.value, winner.worth.value_micros, winner.worth.currency)
        return Current(stored.sender, stored.is_test, stored.goal, stored.transaction_id, *amount, winner.statuses[-1])


def _of(session: Session, table: type[Keyed], click_ids: Collection[str]) -> Iterable[Keyed]:
    return session.exec(_query(session, table, click_ids))


def _query(session: Session, table: type[Keyed], click_ids: Collection[str]) -> SelectOfScalar[Keyed]:
    """Return the query for the rows of some click ids: a jump in the primary key for each sender."""
    senders = session.connection().execute(SENDERS).scalars().all()
    return select(table).where(
        col(table.sender).in_(senders),
        col(table.is_test).in_([False, True]),
        col(table.click_id).in_(click_ids),
    )


def _by_key(rows: Iterable[Keyed]) -> dict[ConversionKey, list[Keyed]]:
    by_key: dict[ConversionKey, list[Keyed]] = defaultdict(list)
    for row in rows:
        by_key[_key(row)].append(row)
    return by_key


def _key(row: Conversion | StatusChange | CorrectionRow) -> ConversionKey:
    return (row.sender, row.is_test, row.click_id, row.goal, row.transaction_id)


def _change(row: StatusChange) -> Change:
    return Change(row.number, row.request_id, row.conversion_status, row.value, row.value_micros, row.currency)


def _correction(row: CorrectionRow) -> Correction:
    amount = (row.value, row.value_micros, row.currency)
    return Correction(row.number, row.revision, row.conversion_status, *amount)


def _order_of(row: CorrectionRow) -> tuple[int, int]:
    return row.number, row.revision


def _next(
    found: "SelectOfScalar[Came]", table: type[Came], last: "_Position | None", limit: int
) -> "SelectOfScalar[Came]":
    """Return the query for the rows that follow a position."""
    place = (col(table.received_at), col(table.request_id))
    if last:
        found = found.where(tuple_(*place) > tuple_(*last))
    return found.order_by(*place).limit(limit)


def _stored(session: Session, click_id: str, last: "_Position | None", limit: int) -> Iterator[Arrival]:
    for row in session.exec(_next(_query(session, Conversion, [click_id]), Conversion, last, limit)):
        status = f"{row.conversion_status}, " if row.conversion_status else ""
        yield _arrival(row, Outcome.STORED, f"{status}{worth(row)}{_labels(row)}{_unread(row)}")


def _changed(session: Session, click_id: str, last: "_Position | None", limit: int) -> Iterator[Arrival]:
    for row in session.exec(_next(_query(session, StatusChange, [click_id]), StatusChange, last, limit)):
        with_value = f", value {amount(row)}" if row.value else ""
        yield _arrival(row, Outcome.UPDATED, f"now {row.conversion_status}{with_value}{_labels(row)}")


def _repeated(session: Session, click_id: str, last: "_Position | None", limit: int) -> Iterator[Arrival]:
    found = select(Duplicate).where(Duplicate.click_id == click_id)
    for row in session.exec(_next(found, Duplicate, last, limit)):
        yield _arrival(row, Outcome.DUPLICATE, "same value as stored" + _labels(row))


def _rejected(session: Session, click_id: str, last: "_Position | None", limit: int) -> Iterator[Arrival]:
    found = select(RejectedPostback).where(RejectedPostback.click_id == click_id)
    for row in session.exec(_next(found, RejectedPostback, last, limit)):
        yield _arrival(row, Outcome[row.outcome.upper()], row.detail)


_TOLD = (_stored, _changed, _repeated, _rejected)


def _arrival(row: Conversion | StatusChange | Duplicate | RejectedPostback, outcome: Outcome, detail: str) -> Arrival:
    is_test = not isinstance(row, RejectedPostback) and row.is_test
    return Arrival(row.received_at, outcome, row.sender, row.door, row.request_id, detail, is_test, row.drained_at)


def _unread(row: Conversion) -> str:
    return "".join(f"; {told}" for told in unread_in(row.params, row.value, row.conversion_status))


def _labels(row: Conversion | StatusChange | Duplicate) -> str:
    labels = {"goal": row.goal, "transaction_id": row.transaction_id}
    told = "".join(f", {name} {label}" for name, label in labels.items() if label)
    return f"{told}, a test" if row.is_test else told
