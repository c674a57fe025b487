"""Owns how a PostgreSQL server is reached: what a connection must promise, deadlines on every wait, errors."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from service.core.unavailable import ErrorKind, StorageError
from service.storage.location import PostgresServer
from service.storage.pool import POOLED

RETRIED = frozenset(
    {
        ErrorKind.PG_CONNECTION,
        ErrorKind.PG_SHUTDOWN,
        ErrorKind.PG_SERIALIZATION,
        ErrorKind.PG_DEADLOCK,
        ErrorKind.PG_READ_ONLY,
    }
)

# By SQLSTATE, the longest beginning first (PostgreSQL manual, appendix A).
_KINDS = (
    ("57P01", ErrorKind.PG_SHUTDOWN),
    ("57P02", ErrorKind.PG_SHUTDOWN),
    ("57P03", ErrorKind.PG_SHUTDOWN),
    ("57014", ErrorKind.PG_TIMEOUT),
    ("55P03", ErrorKind.PG_TIMEOUT),
    ("40001", ErrorKind.PG_SERIALIZATION),
    ("40P01", ErrorKind.PG_DEADLOCK),
    ("23505", ErrorKind.PG_SERIALIZATION),  # another replica was faster: judge again
    ("53100", ErrorKind.PG_FULL),
    ("53300", ErrorKind.PG_CONNECTION),
    ("25006", ErrorKind.PG_READ_ONLY),
    ("08", ErrorKind.PG_CONNECTION),
)
_WHEN_ASKED = sys.maxsize  # psycopg's threshold: never of itself
_BY_INDEX = """
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""  # keys are looked up one by one: a plan that stays was made while the table was small
_CANCEL_SECONDS = 0.2
_ALIVE_SECONDS = 1.0  # for an idle connection's sign of life
_CONNECT = {
    "application_name": "postback",
    "client_encoding": "utf8",
    "gssencmode": "disable",  # it would cost a round trip, and a warning
    "connect_timeout": "2",  # for each host
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
# The time zone of every connection that libpq makes: a moment of the year 1 has no text west of UTC that a driver could
# read. It is part of the start, as a parameter that poolers know and follow; they refuse `options=-c timezone=UTC`.
os.environ["PGTZ"] = "UTC"
_PROMISES = """
    SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_encoding'),
           pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
           current_setting('client_min_messages')
"""

Value = TypeVar("Value")


class DeadlinePassed(psycopg.OperationalError):
    """The server did not answer in time; whether it did what it was asked is unknown."""


@contextmanager
def in_time(deadline: float, timeout: float | None = None) -> Iterator[float]:
    """Give an exchange the seconds that are left until `deadline`; raise DeadlinePassed when they were too few."""
    left = max(0.0, deadline - time.monotonic())
    try:
        yield left if timeout is None else min(left, timeout)
    except psycopg.OperationalError as error:
        if error.sqlstate is None and time.monotonic() >= deadline:
            raise DeadlinePassed("the server did not answer in time") from None
        raise


class ServerConnection(psycopg.Connection[tuple[object, ...]]):
    """A connection whose every wait ends at `deadline` (monotonic seconds), whatever the server or the network does.

    Not a statement_timeout: that could hit a COMMIT that waits for its standbys, and leave it half done.
    """

    deadline = float("inf")

    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        """Run one exchange with the server."""
        with in_time(self.deadline, timeout) as left:
            return super().wait(gen, interval, left)

    @classmethod
    def to(cls, place: PostgresServer) -> Self:
        """Connect, to the host that takes writes if there are several. Raises psycopg.Error, or what it must refuse.

        The server prepares what asks for it (`prepare=True`), unless a pooler is between, where one client's statements
        meet another's (PgBouncer before 1.21): a pooler makes up the process that it names to its clients.
        """
        connection = cls.connected(conninfo(place), autocommit=True)
        try:
            connection.assert_durable()
            if connection.execute("SELECT pg_backend_pid()").fetchone() == (connection.info.backend_pid,):
                connection.prepare_threshold = _WHEN_ASKED
                connection.execute(_BY_INDEX)
        except BaseException:
            connection.close()
            raise
        return connection

    @classmethod
    def connected(cls, conninfo: str, *, autocommit: bool = False) -> Self:
        """Connect. A vain attempt leaves no socket: in the driver's frames it would wait for the garbage collector.

        That comes late in a process that must not be held up, and each such socket takes a place on a server that hung.
        """
        try:
            return cls.connect(conninfo, autocommit=autocommit, prepare_threshold=None)
        except psycopg.Error as error:
            traceback.clear_frames(error.__traceback__)
            raise

    def assert_durable(self) -> None:
        """Raise StorageError if a commit here would be no receipt, or is not possible."""
        found = self.execute(_PROMISES).fetchone() or ("?", "?", "?", True, "?")
        synchronous, fsync, encoding, read_only, messages = found
        if synchronous == "off" or fsync == "off":
            sentence = f"synchronous_commit={synchronous} fsync={fsync}: a 200 would be no receipt"
            raise StorageError(sentence, ErrorKind.PG_NOT_DURABLE)
        if messages == "error":
            raise StorageError(
                "client_min_messages=error hides that a commit waits for no standby", ErrorKind.PG_NOT_DURABLE
            )
        if read_only:
            raise StorageError(
                "the server is a standby, or its transactions are read-only by default", ErrorKind.PG_READ_ONLY
            )
        if encoding != "UTF8":
            raise StorageError(
                f"the database's encoding is {encoding}; create it with ENCODING 'UTF8'", ErrorKind.PG_OTHER
            )

    def ping(self) -> None:
        """Raise psycopg.Error if the server does not answer; outside of a transaction, and none is begun."""
        self.autocommit = True
        self.execute("")
        self.autocommit = False

    def abandon(self) -> None:
        """Close the connection at once, and ask the server to forget what it is still doing for it."""
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=_CANCEL_SECONDS)
        self.close()


def conninfo(place: PostgresServer, **more: str) -> str:
    """Return the connection string: what the URL says wins over our defaults, `more` over both."""
    return make_conninfo(**{**_CONNECT, **place.parameters, **more})


def engine_of(place: PostgresServer, *, writes: bool = False) -> Engine:
    """Return an engine whose connections are made anew each time: for migrations, which change their settings."""
    return create_engine("postgresql+psycopg://", creator=_connecting(place, writes=writes), poolclass=NullPool)


def pooled_engine(place: PostgresServer, *, writes: bool = False) -> Engine:
    """Return an engine with a pool, for reads or for writes beside the ledger's connection.

    A connection that lay idle is asked for a sign of life first: the server may have restarted or failed over. Where
    one is dead, all that were made before are: none is tried again.
    """
    engine = create_engine("postgresql+psycopg://", creator=_connecting(place, writes=writes), **POOLED)

    @event.listens_for(engine, "checkout")
    def alive(connection: ServerConnection, record: ConnectionPoolEntry, _: object) -> None:
        connection.deadline = time.monotonic() + _ALIVE_SECONDS
        try:
            if record.info.get("used"):
                connection.ping()
        except psycopg.Error as error:
            raise InvalidatePoolError from error
        record.info["used"] = True
        connection.deadline = float("inf")

    return engine


def _connecting(place: PostgresServer, *, writes: bool) -> Callable[[], ServerConnection]:
    def connect() -> ServerConnection:
        connection = ServerConnection.connected(conninfo(place))
        connection.read_only = None if writes else True
        return connection

    return connect


def postgres_error(error: psycopg.Error | DBAPIError, rows: Mapping[str, int] = MappingProxyType({})) -> StorageError:
    """Classify a driver's error by its SQLSTATE; without one, the connection is lost or was never made."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = getattr(driver, "sqlstate", None)
    if isinstance(driver, DeadlinePassed):
        kind = ErrorKind.PG_TIMEOUT
    elif sqlstate is None:
        kind = (
            ErrorKind.PG_CONNECTION
            if isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError)
            else ErrorKind.PG_OTHER
        )
    else:
        kind = next((kind for beginning, kind in _KINDS if sqlstate.startswith(beginning)), ErrorKind.PG_OTHER)
    return StorageError(f"{kind}: {' '.join(str(driver).split())}", kind, rows)
