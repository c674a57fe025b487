"""Owns erasing for a privacy request, a click id or what names a person, and reading the book of what was deleted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from service.core.mentions import Texts
from service.core.moment import utc
from service.operations.errors import Refused
from service.operations.sole_writer import sole_writer
from service.spool.reading import arrivals
from service.storage.database import Database
from service.storage.erased_hashes import sha256, sha256_of_text
from service.storage.erasure import Erasure, Held, Whose
from service.storage.reads.search import Advance
from service.storage.schema.tables import Deletion

__all__ = ["Deletions", "ErasureReport", "ErasureRequest", "Held", "Subject", "deletions", "erase", "find"]

MOST = 10_000  # rows that go with a person's text: what more rows name is anybody's
_SHORTEST = 4  # letters of such a text
_MOMENTS = ("first_received_at", "last_received_at", "deleted_at")


class Subject(NamedTuple):
    """What is erased: everything of a click id; or, if `personal`, all that names a text which tells of a person."""

    text: str
    personal: bool = False

    @property
    def sha256(self) -> str:
        """By what the book knows it."""
        return sha256_of_text(self.text) if self.personal else sha256(self.text)


class ErasureRequest(NamedTuple):
    """What is to go, who erases it, and when: the book notes these, and a hash in the text's place."""

    subject: Subject
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What would go, and, once it is `done`, how many rows were deleted, by table.

    `click_ids` are those of which everything goes: of a person's text, where something is stored that names it.
    """

    subject: Subject
    rows: Sequence[Held]
    click_ids: Sequence[str] = ()
    done: bool = False
    deleted: Mapping[str, int] = field(default_factory=dict)

    @property
    def click_id_sha256(self) -> str:
        """By what the book knows it."""
        return self.subject.sha256

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "done": self.done,
            "click_id_sha256": self.click_id_sha256,
            "click_ids": list(self.click_ids),
            "rows": [_held(row) for row in self.rows],
            "deleted": self.deleted,
        }


@dataclass(frozen=True, slots=True)
class Deletions:
    """Entries of the book, newest first."""

    entries: Sequence[Deletion]

    def members(self) -> dict[str, object]:
        """Return them as JSON shows them."""
        return {"deletions": [_deletion(entry) for entry in self.entries]}


def find(
    database: Database, spool_directory: Path, subject: Subject, advance: Advance = lambda _: None
) -> ErasureReport:
    """Return what an erasure would delete; `advance` hears how many more rows were read.

    Raises Refused for what tells of nobody and while the spool holds more of it, and StorageError.
    """
    _refuse_what_tells_of_nobody(subject)
    erasure = database.erasure()
    whose = _whose(erasure, subject, advance)
    _refuse_what_waits(spool_directory, subject, whose)
    found = erasure.find(whose, advance)
    if subject.personal and len(found) > MOST:
        raise Refused(f"{len(found):,} rows name it or are of a click id that does: that is no one person's")
    return ErasureReport(subject, found, whose.click_ids)


def erase(
    database: Database,
    spool_directory: Path,
    request: ErasureRequest,
    agree: Callable[[ErasureReport], object],
    advance: Advance = lambda _: None,
) -> ErasureReport:
    """Delete everything that is stored of a click id, or names a person's text, in one transaction.

    `agree` is told what was found before anything is deleted, and raises to stop it; on SQLite nobody writes between.
    Raises Refused as `find` does, and if the clock may be wrong, BeingServed and StorageError.
    """
    subject, erasure = request.subject, database.erasure()  # where there is no file, none is made
    with sole_writer(database, "erase"):
        if doubt := database.deletions().clock.doubt(request.at):
            raise Refused(f"nothing is erased: {doubt}")
        found = replace(find(database, spool_directory, subject, advance), done=True)
        whose = Whose(tuple(found.click_ids), subject.text if subject.personal else None)
        if found.rows:
            agree(found)
        elif not erasure.noted(whose):  # an earlier one may have been interrupted before its end
            return found
        deleted = Counter(erasure.erase(whose, found.rows, request.by, request.at))
        if subject.personal and database.shared:
            deleted.update(_erase_what_came_meanwhile(database, request, advance))
        return replace(found, deleted=dict(deleted))


def _erase_what_came_meanwhile(database: Database, request: ErasureRequest, advance: Advance) -> dict[str, int]:
    """Erase what was stored beside the search, before the erasure: no index tells of it. Return rows by table."""
    subject, erasure = request.subject, database.erasure()
    until = database.deletions().book(1, subject.sha256)[0].deleted_at
    held = [one for one in erasure.find(_whose(erasure, subject, advance), advance) if one.received_at <= until]
    stored = tuple(dict.fromkeys(str(one.click_id) for one in held if one.id is None and one.click_id is not None))
    return erasure.erase(Whose(stored, subject.text), held, request.by, request.at) if held else {}


def _whose(erasure: Erasure, subject: Subject, advance: Advance) -> Whose:
    return erasure.of_text(subject.text, advance) if subject.personal else Whose((subject.text,))


def deletions(database: Database, subject: Subject | None, limit: int) -> Deletions:
    """Return what was deleted last; with a subject, only by erasures of it. Raises StorageError."""
    return Deletions(database.deletions().book(limit, subject and subject.sha256))


def _refuse_what_tells_of_nobody(subject: Subject) -> None:
    if subject.personal and len(subject.text.strip()) < _SHORTEST:
        raise Refused(f"{subject.text!r} is too short to tell of a person: {_SHORTEST} letters at least")


def _refuse_what_waits(spool_directory: Path, subject: Subject, whose: Whose) -> None:
    """Refuse while the spool holds what would come back."""
    sought = [Texts([subject.text], personal=subject.personal), Texts(whose.click_ids)]
    waiting = {one.arrival.request_id for texts in sought for one in arrivals(spool_directory, texts)}
    if waiting:
        raise Refused(
            f"{len(waiting)} of its postbacks wait in the spool and would come back: erase when they are drained"
        )


def _held(row: Held) -> dict[str, object]:
    told = {**row._asdict(), "received_at": utc(row.received_at)}
    return {name: value for name, value in told.items() if name != "id"}


def _deletion(entry: Deletion) -> dict[str, object]:
    values = entry.model_dump() | {name: utc(getattr(entry, name)) for name in _MOMENTS}
    return {"table" if name == "table_name" else name: value for name, value in values.items()}
