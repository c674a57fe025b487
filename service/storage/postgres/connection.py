"""Owns the writer's one connection to PostgreSQL: made beside it, handed over in time, never used again when broken."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Self

import psycopg
from psycopg.abc import PQGen

from service.core.unavailable import ErrorKind, StorageError
from service.storage.location import PostgresServer
from service.storage.postgres.server import ServerConnection, Value, in_time
from service.storage.postgres.wait_mode import BLOCKING, WaitMode, run_sync


class AsyncServerConnection(psycopg.AsyncConnection[tuple[object, ...]]):
    """What a ServerConnection made and examined, to be used on an event loop or blocking, as `mode` says.

    Every wait ends at `deadline` (monotonic seconds), as a ServerConnection's does.
    """

    deadline = float("inf")
    mode: WaitMode = BLOCKING
    _here_only = False

    def __init__(self, made: ServerConnection) -> None:
        super().__init__(made.pgconn)
        self._made = made
        self.prepare_threshold = made.prepare_threshold
        run_sync(self.set_autocommit(True))
        self.add_notice_handler(self.notice)

    @classmethod
    def to(cls, place: PostgresServer) -> Self:
        """Connect as ServerConnection does, which blocks and raises the same."""
        return cls(ServerConnection.to(place))

    async def wait(
        self,
        gen: PQGen[Value],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as the driver calls it
    ) -> Value:
        """Run one exchange with the server."""
        with in_time(self.deadline, timeout) as left:
            return await self.mode.exchange(gen, self.pgconn.socket, interval, left)

    def notice(self, notice: psycopg.errors.Diagnostic) -> None:
        """Take note when a commit stopped waiting for its standbys. Known by its origin: the text is translated."""
        self._here_only = self._here_only or notice.source_file == "syncrep.c"

    def assert_replicated(self) -> None:
        """Raise StorageError if the wait for a standby was cancelled: the server calls that success, with a warning."""
        if self._here_only:
            raise StorageError(
                "a wait for a standby was cancelled: what was committed is on one server", ErrorKind.PG_NOT_DURABLE
            )

    def abandon(self) -> None:
        """Close the connection, and ask the server to forget what it is still doing for it, which blocks."""
        self._made.abandon()

    def end(self) -> None:
        """Say goodbye."""
        self._made.close()


class Connector:
    """At most one connection, and at most one attempt to make one. Used by one thread.

    The attempt runs on a thread of its own, because looking up a name has no time-out and libpq's own is 2 seconds for
    each host; who asks waits until its own deadline only, and the next one finds the attempt still under way.
    """

    def __init__(self, connect: Callable[[], AsyncServerConnection]) -> None:
        self._connect = connect
        self._connection: AsyncServerConnection | None = None
        self._attempt: Future[AsyncServerConnection] | None = None

    async def connection(self, deadline: float, mode: WaitMode) -> AsyncServerConnection:
        """Return the connection, made anew if need be. Raises psycopg.Error or StorageError."""
        if self._connection is None or self._connection.closed:
            self._connection = await self._new(deadline, mode)
        self._connection.deadline = deadline
        self._connection.mode = mode
        return self._connection

    async def drop(self, mode: WaitMode) -> None:
        """Never use this connection again; what the server is still doing for it is cancelled."""
        connection, self._connection = self._connection, None
        if connection:
            await mode.call(connection.abandon)

    def close(self) -> None:
        """Say goodbye; a connection that is still being made is closed when it is there."""
        connection, self._connection = self._connection, None
        if connection:
            connection.end()
        if self._attempt:
            self._attempt.add_done_callback(_close_late)

    async def _new(self, deadline: float, mode: WaitMode) -> AsyncServerConnection:
        attempt = self._attempt = self._attempt or self._begin()
        try:
            connection = await mode.outcome(attempt, max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise StorageError("no connection to the server in time", ErrorKind.PG_CONNECTION) from None
        except Exception:
            self._attempt = None
            raise
        self._attempt = None
        return connection

    def _begin(self) -> "Future[AsyncServerConnection]":
        attempt: Future[AsyncServerConnection] = Future()
        attempt.set_running_or_notify_cancel()  # who stops waiting for it does not cancel it

        def connect() -> None:
            try:
                attempt.set_result(self._connect())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the connection must hear of it
                attempt.set_exception(error)

        Thread(target=connect, name="connector", daemon=True).start()
        return attempt


def _close_late(attempt: "Future[AsyncServerConnection]") -> None:
    with suppress(Exception):  # there is no connection, then
        attempt.result().end()
