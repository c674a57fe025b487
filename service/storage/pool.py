"""Owns the pools of connections: how many a process has, how a broken one is noticed, what the driver's errors mean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from service.core.unavailable import ErrorKind, StorageError

_MOST = 4  # connections of a pool at the same time; who needs one more waits
_KEPT = 2  # of them stay open when nobody uses them: retention and the roster read at the same time now and then
_PATIENCE_SECONDS = 5.0
POOLED = {
    "poolclass": QueuePool,
    "pool_size": _KEPT,
    "max_overflow": _MOST - _KEPT,
    "pool_timeout": _PATIENCE_SECONDS,
}


@dataclass(frozen=True, slots=True)
class Pool:
    """At most four connections to a database, opened when they are needed; two of them are kept, idle.

    A connection rolls back before it comes back, so that an idle one holds no transaction, snapshot or lock. One on
    which the driver failed is never used again. `engine` must notice at the checkout of one that it is dead.
    `beginning` is a statement before each transaction. All ways in block, and raise StorageError.
    """

    engine: Engine
    classify: Callable[[DBAPIError], StorageError]
    beginning: str = ""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Take a connection for as long as the context is open."""
        taken = self._connected()
        try:
            with taken as connection:
                try:
                    yield connection
                except DBAPIError:
                    connection.invalidate()
                    raise
        except DBAPIError as error:
            raise self.classify(error) from error

    def _connected(self) -> Connection:
        """Take a connection. One that cannot be opened (no descriptor is left) leaves nothing in doubt."""
        try:
            return self.engine.connect()
        except DBAPIError as error:
            told = self.classify(error)
            raise StorageError(str(told), told.kind) from error
        except NoneFree:
            raise StorageError(f"{_MOST} connections are in use, and none came back", ErrorKind.TIMEOUT) from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session to read in."""
        with self.connection() as connection, Session(connection) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction, which is committed at the end."""
        with self.connection() as connection, connection.begin():
            if self.beginning:
                connection.exec_driver_sql(self.beginning)
            yield connection

    def after(self, beginning: str) -> "Pool":
        """Return the same connections, with another statement before each transaction."""
        return replace(self, beginning=beginning)

    def close(self) -> None:
        """Close the idle connections; whoever asks again opens new ones."""
        self.engine.dispose()
