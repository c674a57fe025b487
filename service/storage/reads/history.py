"""Owns the reads that people ask for: what arrived under a click id, when, and what became of it. Never writes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy import text
from sqlmodel import Session, col, select

from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback
from service.core.verdict import Change, Verdict, Winner, amount, judge, last_with_value
from service.storage.pool import Access
from service.storage.schema.tables import Conversion, Duplicate, RejectedPostback, StatusChange

Keyed = TypeVar("Keyed", Conversion, StatusChange)

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
    """One postback that reached us: when, through which door, and the answer it got. `detail` says why, or what."""

    received_at: datetime
    outcome: Outcome
    sender: str | None
    door: str
    request_id: str
    detail: str
    is_test: bool = False


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


class History:
    """Reads of a database, which may be served at the same time. StorageError: not there, or not ours.

    `access` must not be able to write.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def arrivals(self, click_id: str) -> list[Arrival]:
        """Return every postback that named a click id, oldest first, the rejected ones included."""
        with self._access.session() as session:
            found = [*_accepted(session, click_id), *_rejected(session, click_id)]
        return sorted(found, key=lambda arrival: (arrival.received_at, arrival.request_id))

    def foresee(self, postback: Postback) -> Verdict:
        """Return the verdict that a postback would get if it arrived now."""
        return judge(postback, self.winners([postback]) or None)

    def winners(self, postbacks: Collection[Postback]) -> dict[ConversionKey, Winner]:
        """Return what is stored under each postback's key, where something is."""
        with self._access.session() as session:
            found = {postback.key: session.get(Conversion, postback.key) for postback in postbacks}
            changes = _by_key(_changes(session, {postback.click_id for postback in postbacks}))
            return {
                key: Winner(
                    stored.request_id,
                    stored.value,
                    stored.value_micros,
                    stored.currency,
                    stored.conversion_status,
                    tuple(_change(change) for change in changes[key]),
                )
                for key, stored in found.items()
                if stored
            }

    def conversions(self, click_id: str) -> list[Current]:
        """Return what the conversions of a click id are now, each sender's in the order of goal and transaction id."""
        with self._access.session() as session:
            changes = _by_key(_changes(session, [click_id]))
            found = sorted(_of(session, Conversion, [click_id]), key=_key)
            return [_current(stored, changes[_key(stored)]) for stored in found]


def _current(stored: Conversion, changes: Sequence[StatusChange]) -> Current:
    now = last_with_value(stored, changes)
    status = changes[-1].conversion_status if changes else stored.conversion_status
    amount = (now.value, now.value_micros, now.currency)
    return Current(stored.sender, stored.is_test, stored.goal, stored.transaction_id, *amount, status)


def _of(session: Session, table: type[Keyed], click_ids: Collection[str]) -> Iterable[Keyed]:
    """Return the rows of some click ids: a jump in the primary key for each sender."""
    senders = session.connection().execute(SENDERS).scalars().all()
    found = select(table).where(
        col(table.sender).in_(senders),
        col(table.is_test).in_([False, True]),
        col(table.click_id).in_(click_ids),
    )
    return session.exec(found)


def _changes(session: Session, click_ids: Collection[str]) -> list[StatusChange]:
    return sorted(_of(session, StatusChange, click_ids), key=lambda change: change.number)


def _by_key(changes: Iterable[StatusChange]) -> dict[ConversionKey, list[StatusChange]]:
    by_key: dict[ConversionKey, list[StatusChange]] = defaultdict(list)
    for change in changes:
        by_key[_key(change)].append(change)
    return by_key


def _key(row: Conversion | StatusChange) -> ConversionKey:
    return (row.sender, row.is_test, row.click_id, row.goal, row.transaction_id)


def _change(row: StatusChange) -> Change:
    return Change(row.number, row.request_id, row.conversion_status, row.value, row.value_micros, row.currency)


def _accepted(session: Session, click_id: str) -> Iterator[Arrival]:
    for stored in _of(session, Conversion, [click_id]):
        status = f"{stored.conversion_status}, " if stored.conversion_status else ""
        yield _arrival(stored, Outcome.STORED, f"{status}value {amount(stored)}{_labels(stored)}")
    for change in _changes(session, [click_id]):
        with_value = f", value {amount(change)}" if change.value else ""
        yield _arrival(change, Outcome.UPDATED, f"now {change.conversion_status}{with_value}{_labels(change)}")
    for repeat in session.exec(select(Duplicate).where(Duplicate.click_id == click_id)):
        yield _arrival(repeat, Outcome.DUPLICATE, "same value as stored" + _labels(repeat))


def _rejected(session: Session, click_id: str) -> Iterator[Arrival]:
    for kept in session.exec(select(RejectedPostback).where(RejectedPostback.click_id == click_id)):
        yield _arrival(kept, Outcome[kept.outcome.upper()], kept.detail)


def _arrival(row: Conversion | StatusChange | Duplicate | RejectedPostback, outcome: Outcome, detail: str) -> Arrival:
    is_test = not isinstance(row, RejectedPostback) and row.is_test
    return Arrival(row.received_at, outcome, row.sender, row.door, row.request_id, detail, is_test)


def _labels(row: Conversion | StatusChange | Duplicate) -> str:
    labels = {"goal": row.goal, "transaction_id": row.transaction_id}
    told = "".join(f", {name} {label}" for name, label in labels.items() if label)
    return f"{told}, a test" if row.is_test else told
