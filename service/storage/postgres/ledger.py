"""Owns the writing of postbacks to PostgreSQL: one batch, one transaction, durable when its commit is answered.

Most batches are new conversions only: one statement stores all of them or none. What it does not store is judged in a
transaction that keeps what it read from being deleted.

A lost connection leaves open whether a commit took place. So whatever may have been judged is looked up by its
request_id first, and the transactions of one process exclude those that look up what it wrote: else a commit that
arrives late would find its place taken, and a second verdict would stand beside the first.
"""

import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime

import psycopg

from service.core.judging import Judged, Part, judge_all
from service.core.program import PROGRAM
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import STORED, Entry
from service.storage.admission import Admission, Bounds, occasion
from service.storage.deletions.book import entries
from service.storage.ledger import (
    DEADLINE_SECONDS,
    Committed,
    Row,
    Scalar,
    committed,
    conversion_row,
    found_rows,
    rows_of,
)
from service.storage.location import PostgresServer
from service.storage.migrations import Migrations
from service.storage.postgres.batch import Batch
from service.storage.postgres.connection import AsyncServerConnection, Connector
from service.storage.postgres.reading import begin, known_to
from service.storage.postgres.server import RETRIED, postgres_error
from service.storage.postgres.statements import statements, storing
from service.storage.postgres.wait_mode import BLOCKING, ON_LOOP, WaitMode, run_sync
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, REJECTED, StoredTable

_OPENING_SECONDS = 10.0
_TRIES = 4  # the first, and three more
_PAUSE_SECONDS = 0.05  # before the second try; then twice as long each time, with jitter
_RETRIED = RETRIED | {ErrorKind.VANISHED}
_PROBES = 64  # rows of write_probe: replicas seldom share one, so none waits for another's commit


class PostgresLedger:
    """The writing side of a PostgreSQL database; a commit ends when the server has made the batch durable."""

    def __init__(
        self,
        place: PostgresServer,
        migrations: Migrations,
        *,
        seconds: float = DEADLINE_SECONDS,
        bounds: Bounds | None = None,
        connect: Callable[[PostgresServer], AsyncServerConnection] = AsyncServerConnection.to,
    ) -> None:
        statements()  # compiled now, and not within a batch's deadline
        self._migrations = migrations
        self._seconds = seconds
        self._admission = Admission(bounds)
        self._connector = Connector(lambda: connect(place))
        self._probe = 1 + secrets.randbelow(_PROBES)
        self._lost: deque[Batch] = deque(maxlen=_LOST)  # whose commit failed, and may have worked
        self._late: Counter[str] = Counter()  # rows of those
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

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit as Ledger says, blocking."""
        return run_sync(self._commit(entries, parts, BLOCKING))

    async def commit_async(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit as Ledger says, on the running event loop."""
        return await self._commit(entries, parts, ON_LOOP)

    async def _commit(self, entries: Sequence[Entry], parts: Sequence[Part], mode: WaitMode) -> Committed:
        """Commit; after an error that a new try may mend, the whole batch again, within its deadline."""
        batch = Batch(entries, parts, time.monotonic() + self._seconds, mode)
        for number in range(_TRIES if self._well else 1):
            if number:
                await mode.sleep(_pause(number))
            try:
                done = await self._try(batch)
            except (psycopg.Error, StorageError) as error:
                failure = await self._failed(error, batch)
                if failure.kind not in _RETRIED or time.monotonic() + _pause(number + 1) > batch.deadline:
                    break
            except BaseException:
                await self._connector.drop(mode)  # a transaction may be open on it
                raise
            else:
                self._well = True
                return done
        self._well = False
        if batch.sent:
            self._lost.append(batch)
        raise failure

    def close(self) -> None:
        """Disconnect."""
        self._connector.close()

    async def _failed(self, error: psycopg.Error | StorageError, batch: Batch) -> StorageError:
        """Classify an error. Whatever it was, its connection is not used again: a new one has nothing half done."""
        await self._connector.drop(batch.mode)
        batch.suspect_all()
        if isinstance(error, StorageError):
            return error
        failure = postgres_error(error)
        failure.__cause__ = error
        return failure

    async def _try(self, batch: Batch) -> Committed:
        connection = await self._connector.connection(batch.deadline, batch.mode)
        while self._lost:
            await self._find(connection, self._lost[0])
        if batch.is_new and await _store_new(connection, batch):
            done = Committed([STORED] * len(batch.entries), {CONVERSION.name: len(batch.entries)})
        else:
            done = await self._judge_and_store(connection, batch)
        connection.assert_replicated()
        if self._late:
            done, self._late = done._replace(late=self._late), Counter()
        return done

    async def _find(self, connection: AsyncServerConnection, lost: Batch) -> None:
        """Find out what is durable of a batch whose commit failed: before anybody stores any of it again."""
        lost.suspect_all()
        known = await known_to(connection, lost, await begin(connection, lost))
        await connection.execute(b"COMMIT")
        self._late += found_rows(lost.entries, judge_all(lost.entries, known), lost.counted_before)
        self._lost.popleft()

    async def _judge_and_store(self, connection: AsyncServerConnection, batch: Batch) -> Committed:
        """Do it in one transaction; if another replica takes a key meanwhile, anew."""
        races = 0
        while True:
            erased = await begin(connection, batch)
            judged = judge_all(batch.entries, await known_to(connection, batch, erased), batch.parts)
            recognised = batch.recognise(judged.found)
            try:
                await self._store(connection, judged, batch)
                break
            except psycopg.errors.UniqueViolation:
                if (races := races + 1) == _RACES:
                    raise
                await connection.execute(b"ROLLBACK")
                batch.suspect_all()
        batch.sent = True
        await connection.execute(b"COMMIT")
        return committed(batch.entries, judged, recognised)

    async def _store(self, connection: AsyncServerConnection, judged: Judged, batch: Batch) -> None:
        """Write the rows of a judged batch.

        Reading waits for no standby. So where a row was only read, a commit of ours must follow before it is
        acknowledged: standbys receive commits in order, and when they have that one, they have the row.
        """
        if judged.kept:
            await self._turn_away(connection, judged)
        if judged.found and judged.probed_at is None:
            judged.probed_at = datetime.now(UTC)
        written = rows_of(judged, _as_is)
        for one in written.shared:
            await connection.execute(statements().share, one)
        filled = [(table, rows) for table, rows in zip(_TABLES, written.rows, strict=True) if rows]
        columns: list[object] = [column for table, rows in filled for column in _columns(table, rows, batch.drained)]
        if judged.probed_at:
            columns += [self._probe, judged.probed_at]
        elif not filled:
            return
        statement = storing(tuple(table for table, _ in filled), probe=judged.probed_at is not None)
        cursor = await connection.execute(statement, columns, prepare=True)
        if filled and await cursor.fetchone() != tuple(len(rows) for _, rows in filled):
            raise StorageError("rows were not inserted: a rule or a trigger is in the way", ErrorKind.VANISHED)

    async def _turn_away(self, connection: AsyncServerConnection, judged: Judged) -> None:
        """Note in the book what is not kept."""
        if self._admission.must_look(judged):
            cursor = await connection.execute(statements().shares)
            self._admission.look((str(share), int(str(taken))) for share, taken in await cursor.fetchall())
        if gone := self._admission.sift(judged):
            statement, names = statements().note
            for noted in entries(occasion(datetime.now(UTC)), gone):
                await connection.execute(statement.encode(), [noted[name] for name in names])


_TABLES = (CONVERSION, CHANGE, DUPLICATE, REJECTED)
_LOST = 8  # batches of which it is found out later whether they were stored; beyond them doctor tells
_RACES = 3  # in a row, for keys that another replica takes


async def _store_new(connection: AsyncServerConnection, batch: Batch) -> bool:
    """Store a batch of postbacks if all their keys are free; say whether they were."""
    batch.sent = True
    columns = [
        list(column) for column in zip(*[conversion_row(postback, _as_is) for postback in batch.postbacks], strict=True)
    ]
    try:
        cursor = await connection.execute(statements().conversion, columns, prepare=True)
    except psycopg.errors.UniqueViolation:  # another replica has taken one in this moment
        return False
    return cursor.rowcount == len(batch.postbacks)


def _columns(table: StoredTable, rows: Sequence[Row], drained: Container[object]) -> list[list[Scalar]]:
    """Return rows by their columns, and after those when each was drained."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    now = datetime.now(UTC)
    ids = columns[table.columns.index("request_id")]
    return [*columns, [now if request_id in drained else None for request_id in ids]]


def _as_is(moment: datetime) -> datetime:
    return moment


def _pause(number: int) -> float:
    return _PAUSE_SECONDS * (1 << (number - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
