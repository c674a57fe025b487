"""Owns what retention deletes and the book of deletions: what is too old or too much is found, and goes in pieces.

Rows and their entry in the book go in one transaction, so at any moment what is left and what the book says add up to
what was written. What is to go is found by reads; a piece only names it, and holds the write lock for milliseconds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
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
from service.storage.ledger import KEY
from service.storage.pool import Access
from service.storage.schema.tables import Conversion, Deletion, Duplicate, RejectedPostback, StatusChange, UtcDateTime

PIECE_ROWS = 250
PIECE_BYTES = 2**18  # of kept input: SQLite walks through every page of what it frees
PAGE_ROWS = 5_000  # conversions read at a time
MEASURED_ROWS = 50_000  # added up at a time: a long read keeps SQLite's log from shrinking
ROW_BYTES = 500  # what a rejection takes beside its raw input: its other columns and its entries in four indexes
RETENTION = "retention"  # who deletes when no person does
_LOCK_KEY = 0x706F_7374_6B65_6570  # "postkeep": the advisory lock of the replica that deletes

Result = TypeVar("Result")
Place = tuple[datetime, int]  # of a row in the order of arrival: received_at and id
Aged = type[Duplicate] | type[RejectedPostback]
Erasable = Aged | type[Conversion] | type[StatusChange]


class Reason(StrEnum):
    """Why rows were deleted. SIZE_KNOWN: the size, and nothing was left but what senders may still want replayed."""

    AGE = "age"
    SIZE = "size"
    SIZE_KNOWN = "size_known"
    ERASE = "erase"


class Rank(IntEnum):
    """In which order rejected postbacks make room: the replayed, those of nobody we know, those of a known sender."""

    REPLAYED = 0
    STRANGER = 1
    KNOWN = 2


class Kept(NamedTuple):
    """The bytes that a range of rejected postbacks takes, by rank; `upto` is the last id in it."""

    upto: int
    taken: tuple[int, ...]


class Found(NamedTuple):
    """Rows to delete, by id; `place` is that of the last, and 0 rows mean that there are no more."""

    ids: list[int]
    place: Place | None


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


class Removed(NamedTuple):
    """How many rows a piece deleted, and the bytes that they took."""

    rows: int
    taken: int


class Entry(NamedTuple):
    """What the book says about rows that go together."""

    run: str
    table: str
    reason: Reason
    by: str
    at: datetime
    click_id_sha256: str | None = None


Between = Callable[[Callable[[], Removed]], Removed]  # how a piece of work gets its turn among the commits


def at_once(work: Callable[[], Result]) -> Result:
    """Do a piece of work where nobody else writes."""
    return work()


class Deletions:
    """Finds and deletes. Every method may block, is a transaction or read of its own, and raises StorageError.

    `between` gives a deletion its turn: on SQLite on the writer's thread, between two commits, so that neither waits
    for the other's lock.
    """

    def __init__(self, reads: Access, writes: Access, between: "Between") -> None:
        self._reads = reads
        self._writes = writes
        self._between = between

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None] | None]:
        """Be the only replica that deletes; None if another one is. What is given asks whether it is still so.

        On a server an open transaction holds the lock, and not a session: a pooler in transaction mode gives those to
        others. Between two questions it is idle and has no snapshot, so it keeps nothing from being vacuumed.
        """
        if self._writes.engine.dialect.name != "postgresql":
            yield lambda: None
            return
        with self._writes.transaction() as guard:
            if not guard.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}).scalar():
                yield None
                return
            yield lambda: guard.execute(text("SELECT 1")).close()

    def measure(self, after: int) -> Kept | None:
        """Measure the rejected postbacks that follow an id, a page of them; None when there are none."""
        row = RejectedPostback
        page = (
            select(col(row.id), _taken().label("taken"), _rank().label("rank"))
            .where(col(row.id) > after)
            .order_by(col(row.id))
            .limit(MEASURED_ROWS)
            .subquery()
        )
        sums = [cast(func.coalesce(func.sum(page.c.taken).filter(page.c.rank == rank), 0), BigInteger) for rank in Rank]
        with self._reads.session() as session:
            upto, *taken = session.connection().execute(select(func.max(page.c.id), *sums)).one()
        return None if upto is None else Kept(upto, tuple(taken))

    def old(self, table: Aged, before: datetime) -> Found:
        """Find the oldest rows that came before a moment, as many as one piece takes."""
        size = _taken() if table is RejectedPostback else literal(0)
        return self._found(table, size, [col(table.received_at) < before], PIECE_BYTES)

    def surplus(self, rank: Rank, after: Place | None, most: int) -> Found:
        """Find the oldest rejected postbacks of a rank, after a place, up to so many bytes or what one piece takes."""
        row = RejectedPostback
        wanted = [_rank() == rank]
        if after:  # those before it were looked at already
            wanted.append(tuple_(col(row.received_at), col(row.id)) > tuple_(*after))
        return self._found(row, _taken(), wanted, min(most, PIECE_BYTES))

    def _found(self, table: Aged, size: ColumnElement[int], wanted: list[ColumnElement[bool]], most: int) -> Found:
        order = (col(table.received_at), col(table.id))
        chosen = select(*order, size).where(*wanted).order_by(*order).limit(PIECE_ROWS)
        with self._reads.session() as session:
            rows: Sequence[tuple[datetime, int, int]] = session.connection().execute(chosen).all()  # type: ignore[assignment]  # an id is null before it is stored
        ids: list[int] = []
        for received_at, number, taken in rows:
            if most <= 0:
                break
            ids.append(number)
            place = (received_at, number)
            most -= taken
        return Found(ids, place if ids else None)

    def remove(self, table: Aged, ids: Sequence[int], reason: Reason, now: datetime) -> Removed:
        """Delete rows by id; those that are gone already count for nothing."""
        return self._between(partial(self._remove, table, [self._among(table, ids)], reason, now))

    def _among(self, table: Aged, ids: Sequence[int]) -> ColumnElement[bool]:
        """Return the condition that a row is one of these, as one parameter: a statement is then made up only once."""
        if self._writes.engine.dialect.name == "postgresql":
            return col(table.id) == func.any(bindparam("ids", list(ids), ARRAY(BigInteger)))
        listed = func.json_each(bindparam("ids", orjson.dumps(ids).decode(), String)).table_valued("value")
        return col(table.id).in_(select(listed.c.value))

    def conversions(self, after: ConversionKey | None) -> list[tuple[ConversionKey, datetime]]:
        """Return the keys that follow a key, a page of them, and when each came."""
        page = select(*_key(), col(Conversion.received_at)).order_by(*_key()).limit(PAGE_ROWS)
        if after:
            page = page.where(tuple_(*_key()) > tuple_(*after))
        with self._reads.session() as session:
            return [((row[0], row[1], row[2], row[3], row[4]), row[5]) for row in session.connection().execute(page)]

    def remove_conversions(self, first: ConversionKey, last: ConversionKey, before: datetime, now: datetime) -> Removed:
        """Delete the conversions between two keys, both included, that came before a moment, and their changes.

        One that a kept duplicate or conflict repeats stays as long as that does: else it would look lost. One whose
        status changed later stays with its whole history.
        """
        place = tuple_(*_key())
        repeated = [col(Duplicate.click_id) == col(Conversion.click_id), *_same_key(Duplicate)]
        changed = [*_same_key(StatusChange), col(StatusChange.received_at) >= before]
        conflict = and_(
            col(RejectedPostback.click_id) == col(Conversion.click_id),
            col(RejectedPostback.sender) == col(Conversion.sender),
            col(RejectedPostback.outcome) == Outcome.CONFLICT.value,
        )
        wanted = [
            place >= tuple_(*first),
            place <= tuple_(*last),
            col(Conversion.received_at) < before,
            ~or_(exists().where(*repeated), exists().where(conflict), exists().where(*changed)),
        ]
        return self._between(partial(self._remove_with_changes, wanted, now))

    def _remove_with_changes(self, wanted: list[ColumnElement[bool]], now: datetime) -> Removed:
        theirs = [exists(select(literal(1)).select_from(Conversion).where(*_same_key(StatusChange), *wanted))]
        with deleting(self._writes) as connection:
            for table, conditions in ((StatusChange, theirs), (Conversion, wanted)):
                gone = delete_rows(connection, table, conditions)
                note(connection, _retained(table, Reason.AGE, now), gone)
        return Removed(sum(some.rows for some in gone), 0)

    def book(self, limit: int, click_id_sha256: str | None = None) -> list[Deletion]:
        """Return the entries of the book, newest first; with a hash, only those of that click id's erasures."""
        newest = select(Deletion).order_by(col(Deletion.deleted_at).desc(), col(Deletion.run)).limit(limit)
        if click_id_sha256:
            newest = newest.where(col(Deletion.click_id_sha256) == click_id_sha256)
        with self._reads.session() as session:
            return list(session.scalars(newest))

    def _remove(self, table: Aged, wanted: list[ColumnElement[bool]], reason: Reason, now: datetime) -> Removed:
        with deleting(self._writes) as connection:
            gone = delete_rows(connection, table, wanted)
            note(connection, _retained(table, reason, now), gone)
        return Removed(sum(some.rows for some in gone), sum(some.taken for some in gone))


@contextmanager
def deleting(access: Access) -> Iterator[Connection]:
    """Open a transaction in which all statements see the same rows: what is counted is what is deleted."""
    with access.transaction() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))  # somebody holds a row: later, then
        yield connection


def _retained(table: Erasable, reason: Reason, now: datetime) -> Entry:
    return Entry(f"{RETENTION} {now:%Y-%m-%d}", str(table.__tablename__), reason, RETENTION, now)


def delete_rows(connection: Connection, table: Erasable, wanted: Sequence[ColumnElement[bool]]) -> list[Gone]:
    """Delete the rows that fulfil all of what is wanted, and return what the book needs to know of them.

    They are counted first, by the database: to hand over each deleted row would take the interpreter's lock for each,
    and the writer's thread would wait for it among the postbacks.
    """
    outcome: SQLColumnExpression[str] = literal(Outcome.STORED.value)
    size: SQLColumnExpression[int] = literal(0)
    if table is Duplicate:
        outcome = literal(Outcome.DUPLICATE.value)
    elif table is StatusChange:
        outcome = literal(Outcome.UPDATED.value)
    elif table is RejectedPostback:
        outcome, size = col(RejectedPostback.outcome), _taken()
    process = case((col(table.door) == "replay", ""), else_=func.substr(table.request_id, 1, 16))
    rows = select(
        outcome.label("outcome"), process.label("process"), col(table.received_at).label("at"), size.label("taken")
    ).where(*wanted)
    some = rows.subquery()
    kind, first, last = (some.c.outcome, some.c.process), func.min(some.c.at), func.max(some.c.at)
    summed = select(*kind, func.count(), first, last, cast(func.sum(some.c.taken), BigInteger)).group_by(*kind)
    gone = [Gone(*row) for row in connection.execute(summed)]
    if gone:
        connection.execute(delete(table).where(*wanted))
    return gone


def note(connection: Connection, entry: Entry, gone: Sequence[Gone]) -> None:
    """Write into the book what was deleted in this transaction; what one run deletes of one kind is one row."""
    common = {
        "run": entry.run,
        "table_name": entry.table,
        "reason": entry.reason.value,
        "deleted_by": entry.by,
        "deleted_at": entry.at,
        "click_id_sha256": entry.click_id_sha256,
    }
    if gone:
        connection.execute(_NOTE, [common | some._asdict() for some in gone])


def _taken() -> ColumnElement[int]:
    """Return the bytes of a rejected postback; neither engine reads the raw input to tell its length."""
    return func.length(RejectedPostback.raw) + ROW_BYTES


def _rank() -> ColumnElement[int]:
    row = RejectedPostback
    return case(
        (col(row.replayed_at).is_not(None), Rank.REPLAYED.value),
        (col(row.sender).is_(None), Rank.STRANGER.value),
        else_=Rank.KNOWN.value,
    )


def _same_key(table: type[Duplicate] | type[StatusChange]) -> list[ColumnElement[bool]]:
    return [col(getattr(table, name)) == column for name, column in zip(KEY, _key(), strict=True)]


def _key() -> list[SQLColumnExpression[Any]]:
    return [col(getattr(Conversion, name)) for name in KEY]


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
