"""Owns how a PostgreSQL database is asked: in a read-only transaction; and what only a server can be asked."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple, Self

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from service.core.unavailable import ErrorKind, StorageError
from service.storage.audit import Audit, Value
from service.storage.postgres.server import ServerConnection, postgres_error

_ENDING_SECONDS = 1.0


class Server(NamedTuple):
    """What a server says of itself. `ahead` is how many seconds its clock is ahead of ours, give or take `within`."""

    version: str
    synchronous_commit: str
    fsync: str
    encoding: str
    read_only: bool
    checksum_failures: int | None
    max_connections: int
    connections: int
    ahead: float
    within: float


class Standby(NamedTuple):
    """One standby, as the primary sees it; `lag_bytes` is None when the user may not know."""

    name: str
    state: str
    sync_state: str
    lag_bytes: int | None


class PostgresAudit(Audit):
    """Questions to one database."""

    sha256 = "encode(sha256(convert_to(click_id, 'UTF8')), 'hex')"
    now = "clock_timestamp()"
    earlier = "{moment} - interval '{seconds} seconds'"
    contains = "position(CAST('{text}' AS BYTEA) IN {raw}) > 0"

    def __init__(self, engine: Engine, seconds: float | None = None) -> None:
        self._engine = engine
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Take a connection."""
        with _told():
            self._connection: Connection = self._engine.connect()
        self._end_within(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back; one that still waits for the server is closed, and what the server does for it is cancelled."""
        driver = self._driver()
        if driver and driver.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            self._end_within(_ENDING_SECONDS)
            with suppress(DBAPIError):
                self._connection.rollback()
        elif driver:
            self._end_within(None)
            driver.abandon()
            self._connection.invalidate()
        self._connection.close()

    def _driver(self) -> ServerConnection | None:
        if self._connection.invalidated:
            return None
        driver = self._connection.connection.driver_connection
        return driver if isinstance(driver, ServerConnection) else None

    def _end_within(self, seconds: float | None) -> None:
        if driver := self._driver():
            driver.deadline = float("inf") if seconds is None else time.monotonic() + seconds

    def pin(self) -> None:
        """Begin a transaction that sees one snapshot until the end."""
        with _told():
            self._connection.rollback()
            self._connection.execution_options(isolation_level="REPEATABLE READ")
        self.rows("SELECT 1")

    def schema_version(self) -> str:
        """Read Alembic's table, if there is one."""
        if not self.rows("SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL"):
            return ""
        return ", ".join(str(row[0]) for row in self.rows("SELECT version_num FROM alembic_version"))

    def columns(self, table: str) -> dict[str, bool]:
        """Ask the catalogue."""
        with _told():
            inspector = inspect(self._connection)
            if not inspector.has_table(table):
                return {}
            key = inspector.get_pk_constraint(table)["constrained_columns"]
            return {column["name"]: column["name"] in key for column in inspector.get_columns(table)}

    def moment(self, moment: datetime) -> Value:
        """Return it as it is."""
        return moment

    def rows(self, statement: str, **parameters: Value) -> list[tuple[Value, ...]]:
        """Ask a question; parameters are `:named`."""
        with _told():
            return [tuple(row) for row in self._connection.execute(text(statement), parameters)]

    def server(self) -> Server:
        """Return what the server says of itself."""
        asked = time.time()
        found = self.rows(_SERVER)[0]
        within = time.time() - asked
        ahead = float(str(found[-1])) - asked - within / 2
        version, synchronous, fsync, encoding, read_only, failures, most, connections, _ = found
        return Server(
            str(version),
            str(synchronous),
            str(fsync),
            str(encoding),
            bool(read_only),
            None if failures is None else int(str(failures)),
            int(str(most)),
            int(str(connections)),
            ahead,
            within,
        )

    def standbys(self) -> list[Standby]:
        """Return the standbys that stream from this server now."""
        return [Standby(*row) for row in self.rows(_STANDBYS)]  # type: ignore[arg-type]  # as the view is declared

    def synchronous_standbys(self) -> str:
        """Return whom a commit waits for; empty: for nobody."""
        return str(self.rows("SELECT current_setting('synchronous_standby_names')")[0][0])

    def size(self) -> int:
        """Return the bytes of the database, indexes among them."""
        return int(str(self.rows("SELECT pg_database_size(current_database())")[0][0]))


_SERVER = """
    SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
           current_setting('server_encoding'),
           pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,
           (SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()),
           current_setting('max_connections')::integer, (SELECT sum(numbackends) FROM pg_stat_database)::integer,
           extract(epoch FROM clock_timestamp())
"""
_STANDBYS = """
    SELECT coalesce(nullif(application_name, ''), client_addr::text, '?'), coalesce(state, '?'),
           coalesce(sync_state, '?'), pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint
    FROM pg_stat_replication ORDER BY 1
"""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        told = postgres_error(error)
        if told.kind == ErrorKind.PG_TIMEOUT:
            raise StorageError(str(told), ErrorKind.INTERRUPTED) from error
        raise told from error
