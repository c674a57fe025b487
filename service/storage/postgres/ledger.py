"""Owns the writing of postbacks to PostgreSQL: one batch, one round trip, durable when it returns.

A lost connection leaves open whether a commit took place. Every statement can be repeated: a conversion is known
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
from service.core.program import PROGRAM
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import STORED, Change, Entry, Winner, disputed, judge, with_history
from service.storage.ledger import (
    Committed,
    Leftovers,
    Row,
    Scalar,
    conversion_row,
    leftovers,
)
from service.storage.location import PostgresServer
from service.storage.migrations import Migrations
from service.storage.postgres.connection import AsyncServerConnection, Connector
from service.storage.postgres.server import RETRIED, postgres_error
from service.storage.postgres.statements import statements
from service.storage.postgres.wait_mode import BLOCKING, ON_LOOP, WaitMode, run_sync
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, REJECTED, StoredTable

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
    mode: WaitMode


class PostgresLedger:
    """The writing side of a PostgreSQL database; a commit ends when the server has made the batch durable."""

    def __init__(
        self,
        place: PostgresServer,
        migrations: Migrations,
        *,
        seconds: float = DEADLINE_SECONDS,
        connect: Callable[[PostgresServer], AsyncServerConnection] = AsyncServerConnection.to,
    ) -> None:
        statements()  # compiled now, and not within a batch's deadline
        self._migrations = migrations
        self._seconds = seconds
        self._connector = Connector(lambda: connect(place))
        self._probe = 1 + secrets.randbelow(_PROBES)
        self._well = True  # whether the last commit worked: while the server is away, one try a batch must do

    def open(self) -> None:
        """Connect and look at the schema. Raises StorageError when a commit would be no receipt, or is not possible."""
        try:
            run_sync(self._connector.connection(time.monotonic() + _OPENING_SECONDS, BLOCKING))
        except psycopg.Error as error:
            raise postgres_error(error) from error
        if refusal := self._migrations.status().refusal:
            self._connector.close()
            raise StorageError(f"{refusal}: run `{PROGRAM} migrate up`", ErrorKind.MIGRATION)

    def commit(self, entries: Sequence[Entry]) -> Committed:
        """Commit as Ledger says, blocking."""
        return run_sync(self._commit(entries, BLOCKING))

    async def commit_async(self, entries: Sequence[Entry]) -> Committed:
        """Commit as Ledger says, on the running event loop."""
        return await self._commit(entries, ON_LOOP)

    async def _commit(self, entries: Sequence[Entry], mode: WaitMode) -> Committed:
        """Commit; after an error that a new try may mend, the whole batch again, within its deadline."""
        postbacks = [entry for entry in entries if type(entry) is Postback]
        if len(postbacks) > 1:
            postbacks.sort(key=_key)  # stable: of two with the same key, the first arrival stays the first
        batch = _Batch(entries, postbacks, time.monotonic() + self._seconds, {}, mode)
        for number in range(_TRIES if self._well else 1):
            if number:
                await mode.sleep(_pause(number))
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
        self._connector.close()

    async def _failed(self, error: psycopg.Error | StorageError, batch: _Batch) -> StorageError:
        """Classify an error. Whatever it was, its connection is not used again: a new one has nothing half done."""
        await self._connector.drop(batch.mode)
        if isinstance(error, psycopg.Error):
            failure = postgres_error(error, batch.written)
            failure.__cause__ = error
            return failure
        error.rows = batch.written
        return error

    async def _try(self, batch: _Batch, *, again: bool) -> Committed:
        connection = await self._connector.connection(batch.deadline, batch.mode)
        entries, postbacks, written = batch.entries, batch.postbacks, batch.written
        inserted = await _insert(connection, [conversion_row(postback, _as_is) for postback in postbacks])
        _raise(written, CONVERSION, inserted)
        connection.assert_replicated()
        if inserted == len(entries):
            return Committed([STORED] * inserted, written)
        winners = None if inserted == len(postbacks) else await _winners(connection, postbacks)
        known = {} if winners is None else dict(winners)
        verdicts = [judge(entry, winners) for entry in entries]
        own = inserted if winners is None else _own(winners, postbacks)
        if again:
            _raise(written, CONVERSION, own)
        left = leftovers(entries, verdicts, winners, _as_is)
        new = _new(left.changes, known)
        await self._change(connection, new, written, len(left.changes if again else new))
        only_read = own > inserted or len(new) < len(left.changes)
        if (again or only_read) and left.probed_at is None:  # what an earlier try left is only read: see _own
            left = left._replace(probed_at=datetime.now(UTC))
        await self._keep(connection, left, written, again=again)
        connection.assert_replicated()
        return Committed(verdicts, written)

    async def _change(
        self, connection: AsyncServerConnection, new: Sequence[Row], written: dict[str, int], count: int
    ) -> None:
        """Insert changes of status: all, or none if another replica was faster with one of them."""
        if new:
            await connection.execute(statements().change, _columns(CHANGE, new))
            connection.assert_replicated()
        _raise(written, CHANGE, count)

    async def _keep(
        self, connection: AsyncServerConnection, left: Leftovers, written: dict[str, int], *, again: bool
    ) -> None:
        columns = [*_columns(DUPLICATE, left.duplicates), *_columns(REJECTED, left.rejected)]
        if not (left.duplicates or left.rejected or left.probed_at):
            written |= {DUPLICATE.name: 0, REJECTED.name: 0}
            return
        cursor = await connection.execute(statements().keep, [*columns, self._probe, left.probed_at], prepare=True)
        counted = await cursor.fetchone()
        kept = ((DUPLICATE, left.duplicates), (REJECTED, left.rejected))
        for (table, rows), number in zip(kept, counted or (0, 0), strict=True):
            _raise(written, table, await _present(connection, table, rows) if again else int(str(number)))


def _raise(written: dict[str, int], table: StoredTable, rows: int) -> None:
    written[table.name] = max(written.get(table.name, 0), rows)


async def _insert(connection: AsyncServerConnection, rows: Sequence[Row]) -> int:
    return (
        (await connection.execute(statements().conversion, _columns(CONVERSION, rows), prepare=True)).rowcount
        if rows
        else 0
    )


async def _winners(connection: AsyncServerConnection, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
    """Return what is stored now under each postback's key: its own row, or the one that came first."""
    rows: list[tuple[str, bool, str, str, str, str, str, int, str | None, str | None]]
    rows = await _under(connection, statements().winners, [postback.key for postback in postbacks])  # type: ignore[assignment]  # as declared
    winners = {row[:5]: Winner(*row[5:]) for row in rows}
    if keys := disputed(postbacks, winners):
        changes: list[tuple[str, bool, str, str, str, int, str, str, str, int, str | None]]
        changes = await _under(connection, statements().changes, keys)  # type: ignore[assignment]  # as the columns are declared
        with_history(winners, ((row[:5], Change(*row[5:])) for row in changes))
    return winners


async def _under(
    connection: AsyncServerConnection, question: bytes, keys: Sequence[ConversionKey]
) -> list[tuple[object, ...]]:
    cursor = await connection.execute(question, [list(column) for column in zip(*keys, strict=True)])
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
    column = CHANGE.columns.index("request_id")
    return sorted((change for change in changes if change[column] not in there), key=repr)


async def _present(connection: AsyncServerConnection, table: StoredTable, rows: Sequence[Row]) -> int:
    """Count the rows of a repeated batch that are there, whichever try wrote them."""
    if not rows:
        return 0
    column = table.columns.index("request_id")
    cursor = await connection.execute(statements().present[table.name], [[row[column] for row in rows]])
    counted = await cursor.fetchone()
    return int(str(counted[0])) if counted else 0


def _columns(table: StoredTable, rows: Sequence[Row]) -> list[list[Scalar]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in table.columns]


def _key(postback: Postback) -> ConversionKey:
    return postback.key


def _as_is(moment: datetime) -> datetime:
    return moment


def _pause(number: int) -> float:
    return _PAUSE_SECONDS * (1 << (number - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
