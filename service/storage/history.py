"""Owns the reads that people ask for: what arrived under a click id, when, and what became of it. Never writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from service.outcome import Outcome
from service.postback import Key, Postback
from service.storage.access import Access
from service.storage.ledger import Verdict, Winner, amount, judge
from service.storage.tables import Conversion, Duplicate, RejectedPostback

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

    def winners(self, postbacks: Iterable[Postback]) -> dict[Key, Winner]:
        """Return what is stored under each postback's key, where something is."""
        with self._access.session() as session:
            found = {postback.key: session.get(Conversion, postback.key) for postback in postbacks}
            return {
                key: Winner(stored.request_id, stored.value, stored.value_micros, stored.currency)
                for key, stored in found.items()
                if stored
            }


def _conversions(session: Session, click_id: str) -> Iterable[Conversion]:
    senders = session.connection().execute(SENDERS).scalars().all()
    found = select(Conversion).where(
        col(Conversion.sender).in_(senders),
        col(Conversion.is_test).in_([False, True]),
        Conversion.click_id == click_id,
    )
    return session.exec(found)


def _accepted(session: Session, click_id: str) -> Iterator[Arrival]:
    for stored in _conversions(session, click_id):
        yield _arrival(stored, Outcome.STORED, f"value {amount(stored)}{_labels(stored)}")
    for repeat in session.exec(select(Duplicate).where(Duplicate.click_id == click_id)):
        yield _arrival(repeat, Outcome.DUPLICATE, "same value as stored" + _labels(repeat))


def _rejected(session: Session, click_id: str) -> Iterator[Arrival]:
    for kept in session.exec(select(RejectedPostback).where(RejectedPostback.click_id == click_id)):
        yield _arrival(kept, Outcome[kept.outcome.upper()], kept.detail)


def _arrival(row: Conversion | Duplicate | RejectedPostback, outcome: Outcome, detail: str) -> Arrival:
    return Arrival(row.received_at, outcome, row.sender, row.door, row.request_id, detail)


def _labels(row: Conversion | Duplicate) -> str:
    labels = {"goal": row.goal, "transaction_id": row.transaction_id}
    return "".join(f", {name} {label}" for name, label in labels.items() if label)
