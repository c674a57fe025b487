"""Owns what a spool asks of the database that it stands in for: which one it is, and to note what was erased meanwhile.

An entry that arrived before its click id was erased never becomes a row. The book of deletions says so instead, once
for each entry however often it is noted, without the click id's hash: this was no erasure of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select, text
from sqlmodel import col

from service.core.unavailable import ErrorKind, StorageError
from service.storage.deletions.book import Reason
from service.storage.pool import Pool
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.housekeeping import DatabaseIdentity
from service.storage.turns import Turns, take_turn

SPOOL = "spool"  # in the book: the "table" that such an entry left, and who deleted it
_PROCESS_DIGITS = 16  # of a request id say which process gave it
_NOTE = text("""
    INSERT INTO deletion (run, table_name, reason, outcome, process, rows, first_received_at, last_received_at,
        deleted_by, deleted_at)
    VALUES (:run, :spool, :reason, :outcome, :process, 1, :received_at, :received_at, :spool, :now)
    ON CONFLICT DO NOTHING
""").bindparams(bindparam("received_at", type_=UtcDateTime), bindparam("now", type_=UtcDateTime))


class ErasedEntry(NamedTuple):
    """An entry that waited while its click id was erased: `outcome` is what its sender was told."""

    request_id: str
    outcome: str
    received_at: datetime


class Spooling:
    """The answers. Every method blocks and raises StorageError."""

    def __init__(self, reads: Pool, writes: Pool, turns: Turns) -> None:
        self._reads = reads
        self._writes = writes
        self._turns = turns

    def identity(self) -> str:
        """Return what this database is called, which no other one is."""
        with self._reads.session() as session:
            found = session.connection().execute(select(col(DatabaseIdentity.identity))).scalar()
        if found is None:
            raise StorageError(
                "the database has no identity: its table database_identity is empty", ErrorKind.MIGRATION
            )
        return str(found)

    def note_erased(self, entries: Sequence[ErasedEntry]) -> None:
        """Write into the book that these were dropped."""
        now = datetime.now(UTC)
        take_turn(self._turns, lambda: self._note([_row(entry, now) for entry in entries]))

    def _note(self, rows: Sequence[dict[str, object]]) -> None:
        with self._writes.transaction() as connection:
            connection.execute(_NOTE, rows)


def _row(entry: ErasedEntry, now: datetime) -> dict[str, object]:
    return {
        "run": f"{SPOOL} {entry.request_id}",
        "spool": SPOOL,
        "reason": Reason.ERASE.value,
        "outcome": entry.outcome,
        "process": entry.request_id[:_PROCESS_DIGITS],
        "received_at": entry.received_at,
        "now": now,
    }
