"""Owns the book of imports: which files were begun, by which rules each is judged, and who imports one now."""

import hashlib
from collections.abc import Collection
from contextlib import AbstractContextManager

from sqlalchemy import ColumnElement, insert
from sqlmodel import col, select

from service.storage.guard import Held, alone
from service.storage.pool import Pool
from service.storage.schema.tables import Duplicate, ImportedFile, RejectedPostback
from service.storage.turns import IMMEDIATE, Turns, take_turn


class Imports:
    """No row of a file is stored before the book says by which rules it is judged.

    On SQLite it may be written only while this process holds the file's lock, and must be done before the ledger
    closes. Every method blocks, and raises StorageError.
    """

    def __init__(self, reads: Pool, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        self._reads = reads
        self._writes = writes
        self._turns = turns

    def alone(self, request_id: str) -> AbstractContextManager[Held | None]:
        """Be the only one that imports the file of this request_id; None if another one does."""
        digest = hashlib.sha256(f"import {request_id}".encode()).digest()  # no other lock has such a key
        return alone(self._writes, int.from_bytes(digest[:8], signed=True))

    def begun(self, request_ids: Collection[str]) -> list[ImportedFile]:
        """Return the files of these request_ids that were begun."""
        with self._reads.session() as session:
            return list(session.exec(select(ImportedFile).where(col(ImportedFile.request_id).in_(request_ids))))

    def traces(self, request_ids: Collection[str]) -> set[str]:
        """Return which of these files have rows that were rejected or found repeated, whichever version did it."""
        with self._reads.session() as session:
            return {
                request_id
                for request_id in request_ids
                for table in (Duplicate, RejectedPostback)
                if session.exec(select(table.id).where(*_rows_of(table, request_id)).limit(1)).first() is not None
            }

    def begin(self, file: ImportedFile) -> None:
        """Note that a file is begun, which nobody else imports."""

        def work() -> None:
            with self._writes.transaction() as connection:
                connection.execute(insert(ImportedFile), file.model_dump())

        take_turn(self._turns, work)


def _rows_of(table: type[Duplicate] | type[RejectedPostback], request_id: str) -> list[ColumnElement[bool]]:
    """Return what holds for the rows of a file: `-1`, `-2` and so on follow its request_id. A range of the index."""
    return [col(table.request_id) > f"{request_id}-", col(table.request_id) < f"{request_id}."]
