"""Owns the two ways to wait for a server: blocking the thread, or letting the event loop serve others meanwhile.

One text serves both. What is `async` and waits through one of these only, never suspends when that is BLOCKING, so
`at_once` can run it without a loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Protocol, TypeVar

from psycopg import waiting
from psycopg.abc import PQGen

from service.storage.daemon_thread import aside

Result = TypeVar("Result")


class Waits(Protocol):
    """A way to wait; seconds are at most so many. Raises TimeoutError, or psycopg.OperationalError in `exchange`."""

    async def sleep(self, seconds: float, /) -> None:
        """Let so much time pass."""

    async def outcome(self, future: "Future[Result]", seconds: float, /) -> Result:
        """Return what another thread's work comes to; it goes on if it takes longer."""

    async def aside(self, work: Callable[[], Result], /) -> Result:
        """Do what blocks."""

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float, /) -> Result:
        """Run one exchange with a server."""


class _Blocking:
    """Waits by blocking the thread."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)  # noqa: ASYNC251 - no loop is running

    async def outcome(self, future: "Future[Result]", seconds: float) -> Result:
        """Return what another thread's work comes to."""
        return future.result(seconds)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do what blocks."""
        return work()

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float) -> Result:
        """Run one exchange with a server."""
        return waiting.wait(generator, descriptor, interval, seconds)


class _OnLoop:
    """Waits on the running event loop."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(seconds)

    async def outcome(self, future: "Future[Result]", seconds: float) -> Result:
        """Return what another thread's work comes to."""
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(future)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do what blocks."""
        return await aside(work)

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float) -> Result:
        """Run one exchange with a server."""
        return await waiting.wait_async(generator, descriptor, interval, seconds)


BLOCKING: Waits = _Blocking()
ON_LOOP: Waits = _OnLoop()


def at_once(work: Coroutine[object, object, Result]) -> Result:
    """Run what never suspends, because it waits by blocking."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: Result = ended.value
        return result
    raise RuntimeError("it waits for an event loop")
