"""Owns erasing a click id for a privacy request, and reading the book of what was deleted, by whom and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from service.core.moment import utc
from service.operations.errors import Refused
from service.operations.sole_writer import sole_writer
from service.spool.reading import arrivals
from service.storage.database import Database
from service.storage.erasure import Held, sha256
from service.storage.schema.tables import Deletion

_MOMENTS = ("first_received_at", "last_received_at", "deleted_at")


class ErasureRequest(NamedTuple):
    """Whose rows are to go, who erases them, and when: the book notes these, and a hash in the click id's place."""

    click_id: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What is stored of a click id, and, once it is `done`, how many rows were deleted, by table."""

    click_id: str
    rows: Sequence[Held]
    done: bool = False
    deleted: Mapping[str, int] = field(default_factory=dict)

    @property
    def click_id_sha256(self) -> str:
        """By what the book knows the click id."""
        return sha256(self.click_id)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "done": self.done,
            "click_id_sha256": self.click_id_sha256,
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


def find(database: Database, spool_directory: Path, click_id: str) -> ErasureReport:
    """Return what an erasure would delete. Raises Refused while the spool holds more of it, and StorageError."""
    _refuse_what_waits(spool_directory, click_id)
    return ErasureReport(click_id, database.erasure().find(click_id))


def erase(
    database: Database, spool_directory: Path, request: ErasureRequest, agree: Callable[[ErasureReport], object]
) -> ErasureReport:
    """Delete everything that is stored of a click id, in one transaction.

    `agree` is told what was found before anything is deleted, and raises to stop it; on SQLite nobody writes between.
    Raises Refused as `find` does, and if the clock may be wrong, BeingServed and StorageError.
    """
    click_id = request.click_id
    _refuse_what_waits(spool_directory, click_id)
    database.quarantine()  # where there is no file, none is made
    with sole_writer(database, "erase"):
        if doubt := database.deletions().clock.doubt(request.at):
            raise Refused(f"nothing is erased: {doubt}")
        erasure = database.erasure()
        found = ErasureReport(click_id, erasure.find(click_id), done=True)
        if found.rows:
            agree(found)
        elif not erasure.noted(click_id):  # an earlier one may have been interrupted before its end
            return found
        return replace(found, deleted=erasure.erase(click_id, found.rows, request.by, request.at))


def deletions(database: Database, click_id: str | None, limit: int) -> Deletions:
    """Return what was deleted last; with a click id, only by erasures of it. Raises StorageError."""
    return Deletions(database.deletions().book(limit, None if click_id is None else sha256(click_id)))


def _refuse_what_waits(spool_directory: Path, click_id: str) -> None:
    """Refuse while the spool holds what would come back."""
    if waiting := arrivals(spool_directory, click_id):
        raise Refused(
            f"{len(waiting)} of its postbacks wait in the spool and would come back: erase when they are drained"
        )


def _held(row: Held) -> dict[str, object]:
    told = {**row._asdict(), "received_at": utc(row.received_at)}
    return {name: value for name, value in told.items() if name != "id"}


def _deletion(entry: Deletion) -> dict[str, object]:
    values = entry.model_dump() | {name: utc(getattr(entry, name)) for name in _MOMENTS}
    return {"table" if name == "table_name" else name: value for name, value in values.items()}
