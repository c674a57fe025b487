"""Owns looking up a click id: did it arrive, when, how often, what was answered, and what is it now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from service.core.outcome import Outcome
from service.core.postback import answered_status
from service.core.unavailable import StorageError
from service.spool.ownership import Owner
from service.spool.reading import Waits, arrivals
from service.storage.database import Database
from service.storage.reads.history import Arrival, Current

__all__ = ["Arrival", "Found", "look_up"]


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that named a click id, oldest first, and the conversions it has `now`.

    `unknown` says why the database could not be asked: then it is what waits in the spool only.
    """

    click_id: str
    arrivals: Sequence[Arrival]
    stored: bool
    spooled: bool
    now: Sequence[Current] = ()
    unknown: str = ""

    @property
    def accepted(self) -> bool:
        """Whether a conversion of it is durable, in the database or in the spool."""
        return self.stored or self.spooled

    @property
    def only_tests(self) -> bool:
        """Whether all that is stored of it was sent as a test, and counts nowhere."""
        stored = [arrival for arrival in self.arrivals if arrival.outcome is Outcome.STORED]
        return bool(stored) and all(arrival.is_test for arrival in stored)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "click_id": self.click_id,
            "stored": self.stored,
            "spooled": self.spooled,
            "conversions": [one._asdict() for one in self.now],
            "arrivals": [_members(arrival) for arrival in self.arrivals],
        }


def look_up(database: Database, spool_directory: Path, click_id: str) -> Found:
    """Ask the spool first: what leaves it meanwhile is in the database by then.

    Raises StorageError if the database cannot be asked, and nothing waits in the spool.
    """
    waits = arrivals(spool_directory, click_id) if database.shared else []
    try:
        history = database.history()
        kept, now = history.arrivals(click_id), history.conversions(click_id)
        identity = database.spooling().identity() if waits else ""
    except StorageError as error:
        if not waits:
            raise
        waiting = [one.arrival for one in waits]
        return Found(click_id, waiting, stored=False, spooled=_any(waiting, Outcome.SPOOLED), unknown=str(error))
    known = {arrival.request_id for arrival in kept}
    waiting = [_waiting(one, Owner(identity, database.name)) for one in waits if one.arrival.request_id not in known]
    found = sorted([*kept, *waiting], key=_moment)
    return Found(click_id, found, _any(kept, Outcome.STORED), _any(waiting, Outcome.SPOOLED), now)


def _waiting(one: Waits, ours: Owner) -> Arrival:
    if one.owner.is_for(ours):
        return one.arrival
    detail = f"{one.arrival.detail}. That is another database than this one: it is not drained into this one"
    return replace(one.arrival, detail=f"{detail} (see spool_database of doctor)")


def _moment(arrival: Arrival) -> tuple[datetime, bool, str]:
    """Return what puts arrivals into order: a replay has the moment of what it came from, and stands after it."""
    return arrival.received_at, arrival.is_replay, arrival.request_id


def _any(arrivals: Sequence[Arrival], outcome: Outcome) -> bool:
    return any(arrival.outcome is outcome for arrival in arrivals)


def _members(arrival: Arrival) -> dict[str, object]:
    return {
        "received_at": arrival.received_at,
        "outcome": arrival.outcome.value,
        "status": answered_status(arrival.door, arrival.answered, arrival.request_id),
        "sender": arrival.sender,
        "door": arrival.door,
        "request_id": arrival.request_id,
        "detail": arrival.detail,
        "is_test": arrival.is_test,
        "answered": arrival.answered.value,
        "drained_at": arrival.drained_at,
    }
