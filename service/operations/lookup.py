"""Owns looking up a click id: did it arrive, when, how often, as what, what was answered, and what is it now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from service.core.mentions import Texts
from service.core.outcome import Outcome
from service.core.postback import answered_status
from service.core.unavailable import StorageError
from service.spool.ownership import Owner
from service.spool.reading import Waits, arrivals
from service.storage.database import Database
from service.storage.reads.history import Arrival, Current
from service.storage.reads.search import Advance, Naming, Search
from service.storage.schema.tables import Correction

__all__ = ["Arrival", "Correction", "Depth", "Found", "Named", "look_up"]


class Named(NamedTuple):
    """A postback that names the click id, and was not taken to be of it: it came as another parameter, or refused.

    `parameter` names it, as far as that could be read; `click_id` is the one that the postback was taken to be of.
    """

    arrival: Arrival
    parameter: str
    click_id: str | None

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {**_members(self.arrival), "parameter": self.parameter, "click_id": self.click_id}


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that arrived under a click id, oldest first, what else `named` it, and the conversions it has `now`.

    `corrections` say how a person had them read again. `erased_at` is when a person last had all of it deleted.
    `unknown` says why the database could not be asked: then it is what waits in the spool only. `searched` says where
    was looked for what else names it.
    """

    click_id: str
    arrivals: Sequence[Arrival]
    stored: bool
    spooled: bool
    now: Sequence[Current] = ()
    named: Sequence[Named] = ()
    unknown: str = ""
    corrections: Sequence[Correction] = ()
    erased_at: datetime | None = None
    searched: "Depth" = field(default_factory=lambda: Depth.INDEX)

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
            "named": [one.members() for one in self.named],
            "corrections": [one.model_dump(exclude=_NOT_TOLD) for one in self.corrections],
            "erased_at": self.erased_at,
            "searched": self.searched.value,
        }


_NOT_TOLD = {"click_id"}


class Depth(Enum):
    """Where is looked for what names a click id: nowhere, in rejected raw input, or in what is stored as well.

    Nobody who finds it stored by an index waits for REJECTED: only of what is not stored everything rejected is read.
    """

    INDEX = "index"
    REJECTED = "rejected"
    EVERYWHERE = "everywhere"


def look_up(
    database: Database,
    spool_directory: Path,
    click_id: str,
    depth: Depth = Depth.REJECTED,
    advance: Advance = lambda _: None,
) -> Found:
    """Ask the spool first: what leaves it meanwhile is in the database by then.

    `advance` hears how many more rows were read without an index. Raises StorageError if the database cannot be asked,
    and nothing waits in the spool.
    """
    texts = Texts([click_id])
    waits = arrivals(spool_directory, texts) if database.shared else []
    try:
        history = database.history()
        kept, now = history.arrivals(click_id), history.conversions(click_id)
        corrections, erased = history.corrections(click_id), database.erasure().moments([click_id])
        depth = _worthwhile(depth, [*kept, *(one.arrival for one in waits if one.click_id == click_id)])
        named = list(_named(database.search(), texts, depth, advance))
        identity = database.spooling().identity() if waits else ""
    except StorageError as error:
        if not waits:
            raise
        arrived, named = _apart(click_id, waits, [])
        return Found(
            click_id, arrived, stored=False, spooled=_any(arrived, Outcome.SPOOLED), named=named, unknown=str(error)
        )
    known = {arrival.request_id for arrival in (*kept, *(one.arrival for one in named))}
    waits = [_addressed(one, Owner(identity, database.name)) for one in waits if one.arrival.request_id not in known]
    waiting, named = _apart(click_id, waits, named)
    found = sorted([*kept, *waiting], key=_moment)
    stored, spooled = _any(kept, Outcome.STORED), _any(waiting, Outcome.SPOOLED)
    told = Found(click_id, found, stored, spooled, now, named, corrections=corrections)
    return replace(told, erased_at=erased.get(click_id), searched=depth)


def _worthwhile(depth: Depth, under: Sequence[Arrival]) -> Depth:
    """Return how far to look: rejected input is not read for a click id that is stored, but for a test of it."""
    accepted = any(one.outcome in (Outcome.STORED, Outcome.SPOOLED) and not one.is_test for one in under)
    return Depth.INDEX if accepted and depth is Depth.REJECTED else depth


def _named(search: Search, texts: Texts, depth: Depth, advance: Advance) -> Iterator[Named]:
    pages = [] if depth is Depth.INDEX else [search.rejected(texts, advance)]
    if depth is Depth.EVERYWHERE:
        pages.append(search.stored(texts, advance))
    for one in chain.from_iterable(chain.from_iterable(pages)):
        if one.click_id != one.text:
            yield Named(_arrival(one), one.parameter, one.click_id)


def _arrival(one: Naming) -> Arrival:
    outcome = Outcome[one.outcome.upper()]
    came = (one.received_at, outcome, one.sender, one.door, one.request_id)
    return Arrival(*came, one.detail, drained_at=one.drained_at)


def _apart(click_id: str, waits: Sequence[Waits], named: Sequence[Named]) -> tuple[list[Arrival], list[Named]]:
    """Return what waits under the click id, and with what is known already what else names it, oldest first."""
    others = [Named(one.arrival, one.parameter, one.click_id) for one in waits if one.click_id != click_id]
    under = [one.arrival for one in waits if one.click_id == click_id]
    return under, sorted([*named, *others], key=lambda one: _moment(one.arrival))


def _addressed(one: Waits, ours: Owner) -> Waits:
    """Return what waits, and say so if it is for another database than ours."""
    if one.owner.is_for(ours):
        return one
    detail = f"{one.arrival.detail}. That is another database than this one: it is not drained into this one"
    return one._replace(arrival=replace(one.arrival, detail=f"{detail} (see spool_database of doctor)"))


def _moment(arrival: Arrival) -> tuple[datetime, bool, str]:
    """Return what puts arrivals into order: a replay has the moment of what it came from, and stands after it."""
    return arrival.received_at, arrival.is_replay, arrival.request_id


def _any(arrivals: Sequence[Arrival], outcome: Outcome) -> bool:
    return any(arrival.outcome is outcome for arrival in arrivals)


def _members(arrival: Arrival) -> dict[str, object]:
    return {
        "received_at": arrival.received_at,
        "outcome": arrival.outcome.value,
        "status": answered_status(arrival.door, arrival.answered, arrival.request_id, arrival.detail),
        "sender": arrival.sender,
        "door": arrival.door,
        "request_id": arrival.request_id,
        "detail": arrival.detail,
        "is_test": arrival.is_test,
        "answered": arrival.answered.value,
        "drained_at": arrival.drained_at,
    }
