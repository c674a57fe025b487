"""Owns the writer's one connection to PostgreSQL: made beside it, handed over in time, never used again when broken."""

import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from threading import Thread

from service.storage.engine import StorageError
from service.storage.postgres_server import CONNECTION, Session


class Link:
    """At most one connection, and at most one attempt to make one. Used by one thread.

    The attempt runs on a thread of its own, because looking up a name has no time-out and libpq's own is 2 seconds for
    each host; who asks waits until its own deadline only, and the next one finds the attempt still under way.
    """

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._session: Session | None = None
        self._attempt: Future[Session] | None = None

    def session(self, deadline: float) -> Session:
        """Return the connection, made anew if need be. Raises psycopg.Error or StorageError."""
        if self._session is None or self._session.closed:
            self._session = self._new(deadline)
        self._session.deadline = deadline
        return self._session

    def drop(self) -> None:
        """Never use this connection again; what the server is still doing for it is cancelled."""
        session, self._session = self._session, None
        if session:
            session.abandon()

    def close(self) -> None:
        """Say goodbye; a connection that is still being made is closed when it is there."""
        session, self._session = self._session, None
        if session:
            session.close()
        if self._attempt:
            self._attempt.add_done_callback(_close_late)

    def _new(self, deadline: float) -> Session:
        attempt = self._attempt = self._attempt or self._begin()
        try:
            session = attempt.result(max(0.0, deadline - time.monotonic()))
        except futures.TimeoutError:
            raise StorageError("no connection to the server in time", CONNECTION) from None
        except BaseException:
            self._attempt = None
            raise
        self._attempt = None
        return session

    def _begin(self) -> "Future[Session]":
        attempt: Future[Session] = Future()

        def connect() -> None:
            try:
                attempt.set_result(self._connect())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the connection must hear of it
                attempt.set_exception(error)

        Thread(target=connect, name="connector", daemon=True).start()
        return attempt


def _close_late(attempt: "Future[Session]") -> None:
    try:
        attempt.result().close()
    except Exception:  # noqa: BLE001 - there is no connection, then
        return
