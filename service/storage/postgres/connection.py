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
from service.storage.postgres.server import Session, Value, in_time
from service.storage.postgres.waiting import BLOCKING, Waits, at_once


class AsyncSession(psycopg.AsyncConnection[tuple[object, ...]]):
    """What a Session made and examined, to be used on an event loop or blocking, as `waits` says.

    Every wait ends at `deadline` (monotonic seconds), as a Session's does.
    """

    deadline = float("inf")
    waits: Waits = BLOCKING
    _here_only = False

    def __init__(self, made: Session) -> None:
        super().__init__(made.pgconn)
        self._made = made
        self.prepare_threshold = made.prepare_threshold
        at_once(self.set_autocommit(True))
        self.add_notice_handler(self.notice)

    @classmethod
    def to(cls, place: PostgresServer) -> Self:
        """Connect as Session does, which blocks. Raises psycopg.Error, or what a Session must refuse."""
        return cls(Session.to(place))

    async def wait(
        self,
        gen: PQGen[Value],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as the driver calls it
    ) -> Value:
        """Run one exchange with the server."""
        with in_time(self.deadline, timeout) as left:
            return await self.waits.exchange(gen, self.pgconn.socket, interval, left)

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


class Link:
    """At most one connection, and at most one attempt to make one. Used by one thread.

    The attempt runs on a thread of its own, because looking up a name has no time-out and libpq's own is 2 seconds for
    each host; who asks waits until its own deadline only, and the next one finds the attempt still under way.
    """

    def __init__(self, connect: Callable[[], AsyncSession]) -> None:
        self._connect = connect
        self._session: AsyncSession | None = None
        self._attempt: Future[AsyncSession] | None = None

    async def session(self, deadline: float, waits: Waits) -> AsyncSession:
        """Return the connection, made anew if need be. Raises psycopg.Error or StorageError."""
        if self._session is None or self._session.closed:
            self._session = await self._new(deadline, waits)
        self._session.deadline = deadline
        self._session.waits = waits
        return self._session

    async def drop(self, waits: Waits) -> None:
        """Never use this connection again; what the server is still doing for it is cancelled."""
        session, self._session = self._session, None
        if session:
            await waits.aside(session.abandon)

    def close(self) -> None:
        """Say goodbye; a connection that is still being made is closed when it is there."""
        session, self._session = self._session, None
        if session:
            session.end()
        if self._attempt:
            self._attempt.add_done_callback(_close_late)

    async def _new(self, deadline: float, waits: Waits) -> AsyncSession:
        attempt = self._attempt = self._attempt or self._begin()
        try:
            session = await waits.outcome(attempt, max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise StorageError("no connection to the server in time", ErrorKind.PG_CONNECTION) from None
        except Exception:
            self._attempt = None
            raise
        self._attempt = None
        return session

    def _begin(self) -> "Future[AsyncSession]":
        attempt: Future[AsyncSession] = Future()
        attempt.set_running_or_notify_cancel()  # who stops waiting for it does not cancel it

        def connect() -> None:
            try:
                attempt.set_result(self._connect())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the connection must hear of it
                attempt.set_exception(error)

        Thread(target=connect, name="connector", daemon=True).start()
        return attempt


def _close_late(attempt: "Future[AsyncSession]") -> None:
    with suppress(Exception):  # there is no connection, then
        attempt.result().end()
