"""Owns looking up a list of click ids: whether each of them is stored, and if not, why."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from service.operations.files.row_file import Advance
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import LISTS, PUT
from service.operations.reconciling.partner_list import Line, PartnerList
from service.storage.database import Database
from service.storage.reads.conversions import Wanted

_AT_ONCE = 500  # click ids
_LISTED = "SELECT click_id, min(rowid) FROM line WHERE NOT ours AND click_id <> '' GROUP BY click_id ORDER BY 2"
_NAMELESS = "SELECT count(*) FROM line WHERE NOT ours AND click_id = ''"


class Sought(NamedTuple):
    """A click id of a list: since when it is stored, or None and why it is not."""

    click_id: str
    since: datetime | None
    reason: str


class ListLookup:
    """The lookup of a list. After its answers were read, `nameless` says how many rows have no click id."""

    def __init__(self, database: Database, spool_directory: Path, searched: Advance, listed: PartnerList) -> None:
        self.nameless = 0
        self._here = Ours(database, Wanted(), spool_directory, searched)
        self._listed = listed

    def answers(self, advance: Advance) -> Iterator[Sought]:
        """Yield each click id once, in the order of the list. Raises UnreadableFile and StorageError."""
        with closing(sqlite3.connect("", isolation_level=None)) as lists:  # a file that is gone when it is closed
            lists.executescript(LISTS)
            with self._listed.lines(advance) as lines:
                lists.executemany(PUT, (line.row(ours=False) for line in lines))
            self.nameless = lists.execute(_NAMELESS).fetchone()[0]
            for found in self._stored(lists):
                lists.executemany(PUT, (Line(it, "", 0, "", "").row(ours=True) for it, since in found.items() if since))
            lists.execute("COMMIT")
            self._here.search(lists)
            for found in self._stored(lists):
                why = self._here.explanations(lists, [it for it, since in found.items() if since is None])
                yield from (Sought(it, since, why.get(it, "")) for it, since in found.items())

    def _stored(self, lists: sqlite3.Connection) -> Iterator[dict[str, datetime | None]]:
        """Yield since when click ids are stored, some at a time."""
        listed = lists.cursor().execute(_LISTED)
        while some := [click_id for click_id, _ in listed.fetchmany(_AT_ONCE)]:
            received = self._here.received(some)
            yield {it: min(received.get(it, ()), default=None) for it in some}
