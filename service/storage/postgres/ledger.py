"""Owns every statement that writes postbacks to PostgreSQL: one batch, one round trip, durable when it returns.

A lost connection leaves open whether a commit took place. Every statement here can be repeated: a conversion is known
by its key and its request_id, anything else by its request_id, so the same batch is committed again and finds its own.
"""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg

from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import STORED, Change, Entry, Winner, disputed, judge, with_history
from service.storage.ledger import (
    CHANGE,
    CONVERSION,
    DUPLICATE,
    KEY,
    REJECTED,
    Committed,
    Leftovers,
    Row,
    Scalar,
    Table,
    conversion_row,
    leftovers,
)
from service.storage.location import PostgresServer
from service.storage.migrations import Migrations
from service.storage.postgres.connection import AsyncSession, Link
from service.storage.postgres.server import RETRIED, postgres_error
from service.storage.postgres.waiting import BLOCKING, ON_LOOP, Waits, at_once

DEADLINE_SECONDS = 1.2  # for a batch with its retries; the writer gives up at 1.5
_OPENING_SECONDS = 10.0
_TRIES = 4  # the first, and three more
_PAUSE_SECONDS = 0.05  # before the second try; then twice as long each time, with jitter
_RETRIED = RETRIED | {ErrorKind.VANISHED}  # retention and `erase` delete beside it: the next try stores it anew
_PROBES = 64  # rows of write_probe: replicas seldom share one, so none waits for another's commit


class _Batch(NamedTuple):
    """A batch on its way: its postbacks sorted by key, so that two replicas lock their keys in the same order."""

    entries: Sequence[Entry]
    postbacks: list[Postback]
    deadline: float
    written: dict[str, int]
    waits: Waits


class PostgresLedger:
    """The writing side of a PostgreSQL database; a commit ends when the server has made the batch durable."""

    def __init__(
        self,
        place: PostgresServer,
        migrations: Migrations,
        *,
        seconds: float = DEADLINE_SECONDS,
        connect: Callable[[PostgresServer], AsyncSession] = AsyncSession.to,
    ) -> None:
        self._migrations = migrations
        self._seconds = seconds
        self._link = Link(lambda: connect(place))
        self._probe = 1 + secrets.randbelow(_PROBES)
        self._well = True  # whether the last commit worked: while the server is away, one try a batch must do

    def open(self) -> None:
        """Connect and look at the schema. Raises StorageError when a commit would be no receipt, or is not possible."""
        try:
            at_once(self._link.session(time.monotonic() + _OPENING_SECONDS, BLOCKING))
        except psycopg.Error as error:
            raise postgres_error(error) from error
        if refusal := self._migrations.status().refusal:
            self._link.close()
            raise StorageError(f"{refusal}: run `python -m service migrate up`", ErrorKind.MIGRATION)

    def commit(self, entries: Sequence[Entry]) -> Committed:
        """Commit as Ledger says, blocking."""
        return at_once(self._commit(entries, BLOCKING))

    async def commit_async(self, entries: Sequence[Entry]) -> Committed:
        """Commit as Ledger says, on the running event loop."""
        return await self._commit(entries, ON_LOOP)

    async def _commit(self, entries: Sequence[Entry], waits: Waits) -> Committed:
        """Commit; after an error that a new try may mend, the whole batch again, within its deadline."""
        postbacks = [entry for entry in entries if type(entry) is Postback]
        if len(postbacks) > 1:
            postbacks.sort(key=_key)  # stable: of two with the same key, the first arrival stays the first
        batch = _Batch(entries, postbacks, time.monotonic() + self._seconds, {}, waits)
        for number in range(_TRIES if self._well else 1):
            if number:
                await waits.sleep(_pause(number))
            try:
                committed = await self._try(batch, again=number > 0)
            except (psycopg.Error, StorageError) as error:
                failure = await self._failed(error, batch)
                if failure.kind not in _RETRIED or time.monotonic() + _pause(number + 1) > batch.deadline:
                    break
            else:
                self._well = True
                return committed
        self._well = False
        raise failure

    def close(self) -> None:
        """Disconnect."""
        self._link.close()

    async def _failed(self, error: psycopg.Error | StorageError, batch: _Batch) -> StorageError:
        """Classify an error. Whatever it was, its connection is not used again: a new one has nothing half done."""
        await self._link.drop(batch.waits)
        if isinstance(error, psycopg.Error):
            failure = postgres_error(error, batch.written)
            failure.__cause__ = error
            return failure
        error.rows = batch.written
        return error

    async def _try(self, batch: _Batch, *, again: bool) -> Committed:
        session = await self._link.session(batch.deadline, batch.waits)
        entries, postbacks, written = batch.entries, batch.postbacks, batch.written
        inserted = await _insert(session, [conversion_row(postback, _as_is) for postback in postbacks])
        _raise(written, CONVERSION, inserted)
        session.assert_replicated()
        if inserted == len(entries):
            return Committed([STORED] * inserted, written)
        winners = None if inserted == len(postbacks) else await _winners(session, postbacks)
        known = {} if winners is None else dict(winners)
        verdicts = [judge(entry, winners) for entry in entries]
        own = inserted if winners is None else _own(winners, postbacks)
        if again:
            _raise(written, CONVERSION, own)
        left = leftovers(entries, verdicts, winners, _as_is)
        new = _new(left.changes, known)
        await self._change(session, new, written, len(left.changes if again else new))
        only_read = own > inserted or len(new) < len(left.changes)
        if (again or only_read) and left.probed_at is None:  # what an earlier try left is only read: see _own
            left = left._replace(probed_at=datetime.now(UTC))
        await self._keep(session, left, written, again=again)
        session.assert_replicated()
        return Committed(verdicts, written)

    async def _change(self, session: AsyncSession, new: Sequence[Row], written: dict[str, int], count: int) -> None:
        """Insert changes of status: all, or none if another replica was faster with one of them."""
        if new:
            await session.execute(_CHANGE, _columns(CHANGE, new))
            session.assert_replicated()
        _raise(written, CHANGE, count)

    async def _keep(self, session: AsyncSession, left: Leftovers, written: dict[str, int], *, again: bool) -> None:
        columns = [*_columns(DUPLICATE, left.duplicates), *_columns(REJECTED, left.rejected)]
        if not (left.duplicates or left.rejected or left.probed_at):
            written |= {DUPLICATE.name: 0, REJECTED.name: 0}
            return
        cursor = await session.execute(_KEEP, [*columns, self._probe, left.probed_at], prepare=True)
        counted = await cursor.fetchone()
        kept = ((DUPLICATE, left.duplicates), (REJECTED, left.rejected))
        for (table, rows), number in zip(kept, counted or (0, 0), strict=True):
            _raise(written, table, await _present(session, table, rows) if again else int(str(number)))


def _raise(written: dict[str, int], table: Table, rows: int) -> None:
    written[table.name] = max(written.get(table.name, 0), rows)


async def _insert(session: AsyncSession, rows: Sequence[Row]) -> int:
    return (await session.execute(_INSERT, _columns(CONVERSION, rows), prepare=True)).rowcount if rows else 0


async def _winners(session: AsyncSession, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
    """Return what is stored now under each postback's key: its own row, or the one that came first."""
    rows: list[tuple[str, bool, str, str, str, str, str, int, str | None, str | None]]
    rows = await _under(session, _WINNERS, [postback.key for postback in postbacks])  # type: ignore[assignment]  # as declared
    winners = {row[:5]: Winner(*row[5:]) for row in rows}
    if keys := disputed(postbacks, winners):
        changes: list[tuple[str, bool, str, str, str, int, str, str, str, int, str | None]]
        changes = await _under(session, _CHANGES, keys)  # type: ignore[assignment]  # as the columns are declared
        with_history(winners, ((row[:5], Change(*row[5:])) for row in changes))
    return winners


async def _under(session: AsyncSession, question: bytes, keys: Sequence[ConversionKey]) -> list[tuple[object, ...]]:
    cursor = await session.execute(question, [list(column) for column in zip(*keys, strict=True)])
    return await cursor.fetchall()


def _own(winners: dict[ConversionKey, Winner], postbacks: Sequence[Postback]) -> int:
    """Count the rows that this batch wrote, now or earlier.

    One of an earlier try was only read now, and reading waits for no standby: a commit of ours must follow before it
    is acknowledged. Standbys receive commits in order, so when they have that one, they have the row.
    """
    ours = {postback.raw.request_id for postback in postbacks}
    return sum(winner.request_id in ours for winner in winners.values())


def _new(changes: Sequence[Row], known: dict[ConversionKey, Winner]) -> list[Row]:
    """Return the changes that no earlier try inserted, in an order that is the same for all replicas."""
    there = {change.request_id for winner in known.values() for change in winner.changes}
    place = CHANGE.columns.index("request_id")
    return sorted((change for change in changes if change[place] not in there), key=repr)


async def _present(session: AsyncSession, table: Table, rows: Sequence[Row]) -> int:
    """Count the rows of a repeated batch that are there, whichever try wrote them."""
    if not rows:
        return 0
    place = table.columns.index("request_id")
    cursor = await session.execute(_PRESENT[table.name], [[row[place] for row in rows]])
    counted = await cursor.fetchone()
    return int(str(counted[0])) if counted else 0


def _columns(table: Table, rows: Sequence[Row]) -> list[list[Scalar]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in table.columns]


def _key(postback: Postback) -> ConversionKey:
    return postback.key


def _as_is(moment: datetime) -> datetime:
    return moment


def _pause(number: int) -> float:
    return _PAUSE_SECONDS * (1 << (number - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret


_TYPES = {
    "is_test": "boolean",
    "number": "integer",
    "value_micros": "bigint",
    "params": "json",
    "received_at": "timestamptz",
    "raw": "bytea",
}


def _arrays(columns: Sequence[str]) -> str:
    """Return the parameters, one array a column. Binary (`%b`), which costs a quarter of the text form to make."""
    return ", ".join(f"%b::{_TYPES.get(column, 'text')}[]" for column in columns)


def _insertion(table: Table, clash: str = "ON CONFLICT DO NOTHING") -> str:
    names, arrays = ", ".join(table.columns), _arrays(table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {clash}"  # noqa: S608 - our own names


def _asking(table: Table, columns: Sequence[str]) -> str:
    key = ", ".join(KEY)
    return f"""
        SELECT {key}, {", ".join(columns)}
        FROM unnest({_arrays(KEY)}) AS wanted ({key}) JOIN {table.name} USING ({key})
    """  # noqa: S608 - our own names


_INSERT = _insertion(CONVERSION).encode()
_CHANGE = _insertion(CHANGE, clash="").encode()
_WINNERS = _asking(CONVERSION, Winner._fields[:-1]).encode()
_CHANGES = f"{_asking(CHANGE, Change._fields)} ORDER BY number".encode()
_KEEP = f"""
    WITH repeated AS ({_insertion(DUPLICATE)} RETURNING 1),
         refused AS ({_insertion(REJECTED)} RETURNING 1),
         probed AS (
             INSERT INTO write_probe (id, probed_at)
             SELECT id, probed_at FROM (VALUES (%b::integer, %b::timestamptz)) AS probe (id, probed_at)
             WHERE probed_at IS NOT NULL
             ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at)
    SELECT (SELECT count(*) FROM repeated), (SELECT count(*) FROM refused)
""".encode()  # noqa: S608 - our own names
_PRESENT = {
    table.name: f"SELECT count(*) FROM {table.name} WHERE request_id = ANY (%b::text[])".encode()  # noqa: S608 - our own names
    for table in (DUPLICATE, REJECTED)
}
