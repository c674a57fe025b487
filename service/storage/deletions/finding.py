"""Owns finding what retention is to delete: what is too old or too much, by reads only, as much as a chunk takes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, func, literal, select, tuple_
from sqlmodel import col

from service.core.chunk import ChunkSize
from service.core.postback import ConversionKey
from service.storage.pool import Pool
from service.storage.schema.figures import share_figures
from service.storage.schema.registry import KEY
from service.storage.schema.tables import Conversion, Duplicate, ImportedFile, RejectedPostback

CHUNK = ChunkSize(250, 2**18)  # bytes of kept input: SQLite walks through every page of what it frees
FLOOD_CHUNK = ChunkSize(1_000, 2**23)  # when much has to go: a commit waits for it as for a large one
PAGE_ROWS = 5_000  # conversions read at a time
ROW_BYTES = 500  # what a rejection takes beside its raw input, as the triggers of migration 0010 count it
_FILE_DIGITS = 32  # how the request ids of a file's rows begin

Position = tuple[datetime, int]  # of a row in the order of arrival: received_at and id
Aged = type[Duplicate] | type[RejectedPostback]


class Found(NamedTuple):
    """Rows to delete, by id; `position` is that of the last, and 0 rows mean that there are no more."""

    ids: list[int]
    position: Position | None


class Finding:
    """Reads what there is to delete. Every method may block, is a read of its own, and raises StorageError."""

    def __init__(self, reads: Pool) -> None:
        self._reads = reads

    def shares(self) -> dict[str, int]:
        """Return the bytes that rejected postbacks take, of each sender and of all strangers (an empty name)."""
        with self._reads.session() as session:
            return {share: taken for share, taken in session.connection().execute(share_figures()) if taken}

    def old(self, table: Aged, before: datetime, chunk: ChunkSize = CHUNK, *, after: Position | None = None) -> Found:
        """Find the oldest rows that came before a moment, after a position, as many as one chunk takes.

        A row of a file may have a date of its own: it came when the import of its file was begun.
        """
        size = bytes_taken() if table is RejectedPostback else literal(0)
        wanted = [col(table.received_at) < before, ~_imported_since(table, before)]
        if after:
            wanted.append(_follows(table, after))
        return self._found(table, size, wanted, chunk)

    def surplus(
        self, share: str, after: Position | None, most: int, chunk: ChunkSize = CHUNK, *, replayed: bool = False
    ) -> Found:
        """Find the oldest rejected postbacks of a share, replayed or not, after a position.

        Up to so many bytes, or what a chunk takes.
        """
        row = RejectedPostback
        whose = col(row.sender) == share if share else col(row.sender).is_(None)
        wanted = [whose, col(row.replayed_at).is_not(None) if replayed else col(row.replayed_at).is_(None)]
        if after:  # those before it were looked at already
            wanted.append(_follows(row, after))
        chunk = chunk._replace(bytes=min(most, chunk.bytes))
        return self._found(row, bytes_taken(), wanted, chunk, col(row.sender))

    def _found(
        self,
        table: Aged,
        size: ColumnElement[int],
        wanted: list[ColumnElement[bool]],
        chunk: ChunkSize,
        *first: SQLColumnExpression[Any],
    ) -> Found:
        """Find the oldest rows; `first` are columns with the same value in all of them, as their index begins."""
        order = (col(table.received_at), col(table.id))
        chosen = select(*order, size).where(*wanted).order_by(*first, *order).limit(chunk.rows)
        with self._reads.session() as session:
            rows: Sequence[tuple[datetime, int, int]] = session.connection().execute(chosen).all()  # type: ignore[assignment]  # an id is null before it is stored
        ids: list[int] = []
        most = chunk.bytes
        for received_at, number, taken in rows:
            if most <= 0:
                break
            ids.append(number)
            position = (received_at, number)
            most -= taken
        return Found(ids, position if ids else None)

    def conversions(self, after: ConversionKey | None, limit: int = PAGE_ROWS) -> list[tuple[ConversionKey, datetime]]:
        """Return the keys that follow a key, a page of them, and when each came."""
        page = select(*key_columns(), col(Conversion.received_at)).order_by(*key_columns()).limit(limit)
        if after:
            page = page.where(tuple_(*key_columns()) > tuple_(*after))
        with self._reads.session() as session:
            return [((row[0], row[1], row[2], row[3], row[4]), row[5]) for row in session.connection().execute(page)]


def _follows(table: Aged, after: Position) -> ColumnElement[bool]:
    return tuple_(col(table.received_at), col(table.id)) > tuple_(*after)


def _imported_since(table: Aged, moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a row is of a file whose import was begun at a moment or later."""
    file = func.substr(col(table.request_id), 1, _FILE_DIGITS)  # `-1`, `-2` and so on follow it
    begun = exists().where(col(ImportedFile.request_id) == file, col(ImportedFile.begun_at) >= moment)
    return and_(col(table.door) == "import", begun)


def bytes_taken() -> ColumnElement[int]:
    """Return the bytes of a rejected postback; neither engine reads the raw input to tell its length."""
    return func.length(RejectedPostback.raw) + ROW_BYTES


def key_columns() -> list[SQLColumnExpression[Any]]:
    """Return the columns that make a conversion's key, in their order."""
    return [col(getattr(Conversion, name)) for name in KEY]
