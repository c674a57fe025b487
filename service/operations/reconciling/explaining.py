"""Owns our side of a comparison: what is wanted, and why a conversion that a partner has is missing in it."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from service.core.mentions import Texts
from service.spool.reading import arrivals
from service.storage.database import Database
from service.storage.reads.conversions import Received, Stored, Wanted
from service.storage.reads.search import Advance, Naming

_NEVER = "never arrived"
_SOUGHT = 50_000  # click ids looked for at once, each time through everything that was rejected


class Ours:
    """What is wanted of what we have, and what is known of the rest. Every method may block and raises StorageError.

    `searched` hears how many more rejected postbacks were read.
    """

    def __init__(
        self,
        database: Database,
        wanted: Wanted,
        spool_directory: Path | None = None,
        searched: Advance = lambda _: None,
    ) -> None:
        self.wanted = wanted
        self._database = database
        self._spool_directory = spool_directory
        self._searched = searched

    def pages(self) -> Iterator[list[Stored]]:
        """Walk through what is wanted."""
        return self._database.conversions().pages(self.wanted)

    def search(self, lists: sqlite3.Connection) -> None:
        """Search what was rejected, and what waits in the spool, for every click id that their list has more often.

        What is found goes into the same temporary database, because it may be as much as their list.
        """
        lists.executescript(_FOUND)
        missing = lists.cursor().execute(_MORE_THERE)
        while some := [click_id for (click_id,) in missing.fetchmany(_SOUGHT)]:
            texts = Texts(some)
            for page in self._database.search().rejected(texts, self._searched):
                lists.executemany(_PUT, [(one.text, one.received_at.isoformat(), _rejected(one)) for one in page])
            lists.executemany(_PUT, self._waiting(texts))

    def received(self, click_ids: Sequence[str]) -> dict[str, list[datetime]]:
        """Return when conversions of these click ids were received that are no tests."""
        received = self._database.conversions().received(click_ids)
        return {name: [it.received_at for it in found if not it.is_test] for name, found in received.items()}

    def explanations(self, lists: sqlite3.Connection, click_ids: Collection[str]) -> dict[str, str]:
        """Return for each click id why the partner has one conversion more of it than there is here."""
        if not click_ids:
            return {}
        received = self._database.conversions().received(list(click_ids))
        found = {one: lists.execute(_NEWEST, (one,)).fetchone() for one in click_ids}
        told = {one: self._explanation(received.get(one, []), found[one]) for one in click_ids}
        erased = self._database.erasure().moments([one for one, why in told.items() if why == _NEVER])
        return told | {one: f"erased, {_moment(at)}" for one, at in erased.items()}

    def _waiting(self, texts: Texts) -> Iterator[tuple[str, str, str]]:
        if self._spool_directory is None or not self._database.shared:
            return
        for one in arrivals(self._spool_directory, texts):
            if one.click_id in texts.texts:
                arrival = one.arrival
                told = f"{arrival.outcome.value}, {_moment(arrival.received_at)}: {arrival.detail}"
                yield one.click_id, _LAST, told

    def _explanation(self, received: list[Received], found: tuple[str] | None) -> str:
        since, until, sender = self.wanted.since, self.wanted.until, self.wanted.sender
        ours = [it for it in received if not it.is_test and sender in (None, it.sender)]
        if outside := [it.received_at for it in ours if (since and it.received_at < since) or _after(it, until)]:
            return f"stored, outside the period: {_moment(min(outside))}"
        if found:
            return found[0]
        if ours:
            return "the click id is stored, not this conversion of it"
        if real := sorted(it.sender for it in received if not it.is_test):
            return f"stored, of sender {real[0]}"
        return "stored as a test" if received else _NEVER


def _rejected(one: Naming) -> str:
    """Say as what it was not accepted, when, and how it was named."""
    place = f", as parameter {one.parameter}" if one.parameter else ", in its raw input"
    whose = f" of click id {one.click_id}" if one.click_id is not None else ""
    named = "" if one.click_id == one.text else f"{place}{whose}"
    return f"rejected: {one.outcome}, {_moment(one.received_at)}{named}: {one.detail}"


def _after(one: Received, until: datetime | None) -> bool:
    return until is not None and one.received_at >= until


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


_FOUND = "CREATE TABLE found (click_id TEXT PRIMARY KEY, moment TEXT, told TEXT) WITHOUT ROWID"
_LAST = "9"  # after every moment: what waits in the spool is newer than what was rejected
_PUT = """
    INSERT INTO found VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET moment = excluded.moment, told = excluded.told WHERE excluded.moment >= moment
"""
_NEWEST = "SELECT told FROM found WHERE click_id = ?"
_MORE_THERE = """
    SELECT DISTINCT click_id FROM (
        SELECT click_id FROM line GROUP BY click_id, transaction_id HAVING sum(1 - ours) > sum(ours)
    )
"""
