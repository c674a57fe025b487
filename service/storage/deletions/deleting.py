"""Owns deleting: rows and their entry in the book go in one transaction, a small chunk at a time.

So at any moment what is left and what the book says add up to what was written. What is to go is only named here, which
holds the write lock for milliseconds.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    SQLColumnExpression,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlmodel import col

from service.core.outcome import Outcome
from service.core.postback import ConversionKey
from service.storage.deletions.book import Gone, Occasion, Reason, book_page, note, retention_of
from service.storage.deletions.clock import ClockGuard
from service.storage.deletions.finding import Aged, Finding, bytes_taken, key_columns
from service.storage.guard import Held, alone
from service.storage.pool import Pool
from service.storage.reads.paging import Cursor, Page
from service.storage.schema.registry import CONVERSION, KEY, table_of
from service.storage.schema.tables import Conversion, Correction, Deletion, Duplicate, RejectedPostback, StatusChange
from service.storage.shared_input import forget_unused
from service.storage.turns import IMMEDIATE, Turns, take_turn

_LOCK_KEY = 0x706F_7374_6B65_6570  # "postkeep": the advisory lock of the replica that deletes

_COMMITTED = timedelta(minutes=1)  # whoever wrote what rows begin with has written these rows, or has failed
_LOCK_MS = 1_000  # somebody holds a row: later, then

Erasable = Aged | type[Conversion] | type[StatusChange]
_Later = type[StatusChange] | type[Correction]


class Removed(NamedTuple):
    """How many rows a chunk deleted, and the bytes that they took."""

    rows: int
    taken: int


class Deletions(Finding):
    """Finds and deletes. Every method may block, is a transaction or read of its own, and raises StorageError.

    `turns` gives a deletion its turn among the commits. `clock` says whether a clock may be gone by.
    """

    def __init__(self, reads: Pool, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        super().__init__(reads)
        self._writes = writes
        self._turns = turns
        self.clock = ClockGuard(reads, writes, turns)

    def alone(self) -> AbstractContextManager[Held | None]:
        """Be the only replica that deletes; None if another one is."""
        return alone(self._writes, _LOCK_KEY)

    def remove(self, table: Aged, ids: Sequence[int], reason: Reason, now: datetime) -> Removed:
        """Delete rows by id; those that are gone already count for nothing."""
        return take_turn(self._turns, partial(self._remove, table, [self._among(table, ids)], reason, now))

    def forget_unused(self, now: datetime) -> None:
        """Delete some of what no rejected postback begins with any more."""
        take_turn(self._turns, partial(self._forget_unused, now - _COMMITTED))

    def _forget_unused(self, before: datetime) -> None:
        with deleting(self._writes) as connection:
            forget_unused(connection, before)

    def settle(self, share: str) -> None:
        """Make the figure of a share what its rows take: somebody emptied the table past the triggers."""
        take_turn(self._turns, partial(self._settle, share))

    def _settle(self, share: str) -> None:
        with deleting(self._writes) as connection:
            connection.execute(_SETTLE, {"share": share})

    def _among(self, table: Aged, ids: Sequence[int]) -> ColumnElement[bool]:
        """Return the condition that a row is one of these, as one parameter: a statement is then made up only once."""
        if self._writes.engine.dialect.name == "postgresql":
            return col(table.id) == func.any(bindparam("ids", list(ids), ARRAY(BigInteger)))
        listed = func.json_each(bindparam("ids", orjson.dumps(ids).decode(), String)).table_valued("value")
        return col(table.id).in_(select(listed.c.value))

    def remove_conversions(self, first: ConversionKey, last: ConversionKey, before: datetime, now: datetime) -> Removed:
        """Delete the conversions between two keys, both included, that came before a moment, and their history.

        One that a kept duplicate or conflict repeats stays as long as that does: else it would look lost. One whose
        status changed later stays with its whole history. One that a commit looks at just now is left to the next look.
        """
        place = tuple_(*key_columns())
        wanted = [place >= tuple_(*first), place <= tuple_(*last), *_forgettable(before)]
        return take_turn(self._turns, partial(self._remove_with_changes, wanted, before, now))

    def _remove_with_changes(self, wanted: list[ColumnElement[bool]], before: datetime, now: datetime) -> Removed:
        with deleting(self._writes) as connection:
            if connection.dialect.name == "postgresql":
                wanted = [_among_keys(_locked(connection, wanted)), *_forgettable(before)]
            corrections = delete_corrections(connection, [_among_conversions(Correction, wanted)])
            note(connection, _retained(Correction, Reason.AGE, now), corrections)
            for table, conditions in (
                (StatusChange, [_among_conversions(StatusChange, wanted)]),
                (Conversion, wanted),
            ):
                gone = delete_rows(connection, table, conditions)
                note(connection, _retained(table, Reason.AGE, now), gone)
        return Removed(sum(some.rows for some in gone), 0)

    def book(self, limit: int, click_id_sha256: str | None = None) -> list[Deletion]:
        """Return the entries of the book that began last; with a hash, only those of that click id's erasures."""
        return self.book_page(None, limit, click_id_sha256).rows

    def book_page(self, after: Cursor | None, limit: int, click_id_sha256: str | None = None) -> Page[Deletion]:
        """Return a page of the same. Raises ValueError for a cursor that is none of this list's."""
        return book_page(self._reads, after, limit, click_id_sha256)

    def _remove(self, table: Aged, wanted: list[ColumnElement[bool]], reason: Reason, now: datetime) -> Removed:
        with deleting(self._writes) as connection:
            gone = delete_rows(connection, table, wanted)
            note(connection, _retained(table, reason, now), gone)
        return Removed(sum(some.rows for some in gone), sum(some.taken for some in gone))


@contextmanager
def deleting(writes: Pool, lock_ms: int = _LOCK_MS) -> Iterator[Connection]:
    """Open a transaction, in which each statement of a server sees what was committed before the statement began.

    What somebody else holds is waited for so many milliseconds.
    """
    with writes.transaction() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{lock_ms}ms'"))
        yield connection


def _forgettable(before: datetime) -> list[ColumnElement[bool]]:
    """Return what holds for a conversion that is old, and that nothing which is kept belongs to."""
    repeated = [col(Duplicate.click_id) == col(Conversion.click_id), *_same_key(Duplicate)]
    changed = [*_same_key(StatusChange), col(StatusChange.received_at) >= before]
    conflict = and_(
        col(RejectedPostback.click_id) == col(Conversion.click_id),
        col(RejectedPostback.sender) == col(Conversion.sender),
        col(RejectedPostback.outcome) == Outcome.CONFLICT.value,
    )
    kept = or_(exists().where(*repeated), exists().where(conflict), exists().where(*changed))
    return [col(Conversion.received_at) < before, ~kept]


def _locked(connection: Connection, wanted: list[ColumnElement[bool]]) -> Sequence[Row[tuple[object, ...]]]:
    """Lock the conversions that may go, and return their keys: a commit that asks for one waits, then finds it gone.

    One that a commit has asked for is passed over. Whether something was written to the others before they were
    locked, only a later statement sees.
    """
    return connection.execute(select(*key_columns()).where(*wanted).with_for_update(skip_locked=True)).all()


def _among_keys(keys: Sequence[Row[tuple[object, ...]]]) -> ColumnElement[bool]:
    """Return the condition that a conversion is one of these, as one parameter a column."""
    columns = [
        bindparam(f"keys_{name}", [row[place] for row in keys], ARRAY(CONVERSION.table.c[name].type))
        for place, name in enumerate(KEY)
    ]
    listed = func.unnest(*columns).table_valued(*KEY).render_derived()
    return tuple_(*key_columns()).in_(select(*(listed.c[name] for name in KEY)))


def _among_conversions(table: _Later, wanted: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that a row belongs to a conversion that fulfils all of what is wanted."""
    return exists(select(literal(1)).select_from(Conversion).where(*_same_key(table), *wanted))


def _retained(table: Erasable | type[Correction], reason: Reason, now: datetime) -> Occasion:
    return retention_of(now, str(table.__tablename__), reason)


def delete_corrections(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> list[Gone]:
    """Delete the corrections that fulfil all of what is wanted. No process counted them, so they are nobody's."""
    gone = connection.execute(delete(Correction).where(*wanted).returning(col(Correction.corrected_at))).scalars().all()
    return [Gone("", "", len(gone), min(gone), max(gone))] if gone else []


def delete_rows(connection: Connection, table: Erasable, wanted: Sequence[ColumnElement[bool]]) -> list[Gone]:
    """Delete the rows that fulfil all of what is wanted, and return what the book needs to know of them.

    They are summed up by the database: to hand over each deleted row would take the interpreter's lock for each, and
    the writer's thread would wait for it among the postbacks. A server sums up what it deletes. SQLite cannot, so there
    they are counted first: nobody else writes in between.
    """
    told = _told_of(table)
    if connection.dialect.name == "postgresql":
        return _summed(connection, delete(table).where(*wanted).returning(*told).cte("gone"))
    if gone := _summed(connection, select(*told).where(*wanted).subquery()):
        connection.execute(delete(table).where(*wanted))
    return gone


def _told_of(table: Erasable) -> list[ColumnElement[Any]]:
    fixed = table_of(table).outcome
    outcome: SQLColumnExpression[str] = literal(fixed.value) if fixed else col(RejectedPostback.outcome)
    size: SQLColumnExpression[int] = bytes_taken() if table is RejectedPostback else literal(0)
    process = case((col(table.door) == "replay", ""), else_=func.substr(table.request_id, 1, 16))
    named = {"outcome": outcome, "process": process, "at": col(table.received_at), "taken": size}
    return [expression.label(name) for name, expression in named.items()]


def _summed(connection: Connection, rows: FromClause) -> list[Gone]:
    kind, at = (rows.c.outcome, rows.c.process), rows.c.at
    sums = select(*kind, func.count(), func.min(at), func.max(at), cast(func.sum(rows.c.taken), BigInteger))
    return [Gone(*row) for row in connection.execute(sums.group_by(*kind))]


_SETTLE = text("""
    INSERT INTO quarantine_share (share, slot, bytes)
    SELECT CAST(:share AS VARCHAR), -1, more FROM (SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS more FROM (
        SELECT length(raw) + 500 AS bytes FROM rejected_postback
            WHERE sender = :share OR (sender IS NULL AND :share = '')
        UNION ALL SELECT length(content) + 500 FROM shared_input
            WHERE sender = :share OR (sender IS NULL AND :share = '')
        UNION ALL SELECT -bytes FROM quarantine_share WHERE share = :share
    ) AS counted) AS settled WHERE more <> 0
    ON CONFLICT (share, slot) DO UPDATE SET bytes = quarantine_share.bytes + excluded.bytes
""")


def _same_key(table: type[Duplicate] | _Later) -> list[ColumnElement[bool]]:
    return [col(getattr(table, name)) == column for name, column in zip(KEY, key_columns(), strict=True)]
