"""Owns the book of deletions: what was deleted together, why, and by whom, written in the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Connection, Dialect, and_, bindparam, case, func, or_, text, tuple_, type_coerce
from sqlmodel import col, select

from service.storage.pool import Pool
from service.storage.reads.paging import Cursor, Page, cursor_to, position_of
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.tables import Deletion

_ORDER = "deletions"


class Reason(StrEnum):
    """Why rows were deleted. SIZE_KNOWN: the size, and they are what senders may still want replayed.

    NOT_KEPT: they were no rows, because whoever sent them had no room.
    """

    AGE = "age"
    SIZE = "size"
    SIZE_KNOWN = "size_known"
    ERASE = "erase"
    NOT_KEPT = "not_kept"


RETENTION = "retention"  # who deletes when no person does


class Occasion(NamedTuple):
    """What the book says about rows of one table that go together, besides how many they are."""

    run: str
    table: str
    reason: Reason
    by: str
    at: datetime
    click_id_sha256: str | None = None


def retention_of(now: datetime, table: str, reason: Reason) -> Occasion:
    """Return the occasion of what goes without a person: a day of it is one run."""
    return Occasion(f"{RETENTION} {now:%Y-%m-%d}", table, reason, RETENTION, now)


class Gone(NamedTuple):
    """Rows of one outcome and one process that were deleted: how many, when the first and the last came, their bytes.

    A process is how its request ids begin. A replay's ids are hashes, so its rows are nobody's.
    """

    outcome: str
    process: str
    rows: int
    first_received_at: datetime
    last_received_at: datetime
    taken: int = 0


def note(connection: Connection, occasion: Occasion, gone: Sequence[Gone]) -> None:
    """Write into the book what was deleted in this transaction; what one run deletes of one kind is one row."""
    if gone:
        connection.execute(_NOTE, entries(occasion, gone))


def entries(occasion: Occasion, gone: Sequence[Gone]) -> list[dict[str, object]]:
    """Return the rows of the book."""
    common: dict[str, object] = {
        "run": occasion.run,
        "table_name": occasion.table,
        "reason": occasion.reason.value,
        "deleted_by": occasion.by,
        "deleted_at": occasion.at,
        "click_id_sha256": occasion.click_id_sha256,
    }
    return [common | some._asdict() for some in gone]


class Noting(NamedTuple):
    """The statement that notes, for a driver's own connection, and the names of its parameters in their order."""

    statement: str
    names: tuple[str, ...]


def noting(dialect: Dialect) -> Noting:
    """Compile it; the dialect's parameters must be positional."""
    compiled = _NOTE.compile(dialect=dialect)
    return Noting(str(compiled), tuple(getattr(compiled, "positiontup", None) or ()))


class _Position(NamedTuple):
    began: AwareDatetime
    run: str
    table_name: str
    reason: str
    outcome: str
    process: str


def book_page(reads: Pool, after: Cursor | None, limit: int, click_id_sha256: str | None = None) -> Page[Deletion]:
    """Return some of the book, what began last first; with a hash, only that click id's erasures.

    A row of retention's began with its day (UTC): `deleted_at` moves on while it grows, and a row that moves would be
    passed over. Raises ValueError for a cursor that is none of this list's.
    """
    with reads.session() as session:
        began = _began(session.connection().dialect.name)
        key = [col(getattr(Deletion, name)) for name in _Position._fields[1:]]
        page = select(Deletion, began).order_by(began.desc(), *key).limit(limit)
        if click_id_sha256:
            page = page.where(col(Deletion.click_id_sha256) == click_id_sha256)
        if after is not None:
            last = position_of(_ORDER, _Position, after)
            page = page.where(or_(began < last.began, and_(began == last.began, tuple_(*key) > tuple_(*last[1:]))))
        found = session.exec(page).all()
    if len(found) < limit:
        return Page([row for row, _ in found], None)
    row, moment = found[-1]
    last = _Position(moment, *(getattr(row, name) for name in _Position._fields[1:]))
    return Page([row for row, _ in found], cursor_to(_ORDER, last))


def _began(dialect: str) -> ColumnElement[datetime]:
    at = col(Deletion.deleted_at)
    if dialect == "postgresql":
        day: ColumnElement[datetime] = func.date_trunc("day", at, "UTC")
    else:
        day = func.strftime("%Y-%m-%d 00:00:00.000000", at)
    return type_coerce(case((col(Deletion.reason) == Reason.ERASE.value, at), else_=day), UtcDateTime)


_NOTE = text("""
    INSERT INTO deletion (run, table_name, reason, outcome, process, rows, first_received_at, last_received_at,
        deleted_by, deleted_at, click_id_sha256)
    VALUES (:run, :table_name, :reason, :outcome, :process, :rows, :first_received_at, :last_received_at,
        :deleted_by, :deleted_at, :click_id_sha256)
    ON CONFLICT (run, table_name, reason, outcome, process) DO UPDATE SET
        rows = deletion.rows + excluded.rows,
        first_received_at = CASE WHEN excluded.first_received_at < deletion.first_received_at
            THEN excluded.first_received_at ELSE deletion.first_received_at END,
        last_received_at = CASE WHEN excluded.last_received_at > deletion.last_received_at
            THEN excluded.last_received_at ELSE deletion.last_received_at END,
        deleted_at = excluded.deleted_at
""").bindparams(
    *(bindparam(name, type_=UtcDateTime) for name in ("first_received_at", "last_received_at", "deleted_at"))
)
