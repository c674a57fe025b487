"""Owns the two ways to wait for a server: blocking the thread, or letting the event loop serve others meanwhile.

One text serves both. What is `async` and waits through one of these only, never suspends when that is BLOCKING, so
`run_sync` can run it without a loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Protocol, TypeVar

from psycopg import waiting
from psycopg.abc import PQGen

from service.storage.daemon_thread import run_in_daemon_thread

Result = TypeVar("Result")


class WaitMode(Protocol):
    """A way to wait, at most so many seconds. Raises TimeoutError, or psycopg.OperationalError in `exchange`."""

    async def sleep(self, seconds: float, /) -> None:
        """Let so much time pass."""

    async def outcome(self, future: "Future[Result]", seconds: float, /) -> Result:
        """Return what another thread's work comes to; it goes on if it takes longer."""

    async def call(self, work: Callable[[], Result], /) -> Result:
        """Do what blocks."""

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float, /) -> Result:
        """Run one exchange with a server."""


class _Blocking:
    """WaitMode by blocking the thread."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)  # noqa: ASYNC251 - no loop is running

    async def outcome(self, future: "Future[Result]", seconds: float) -> Result:
        """Return what another thread's work comes to."""
        return future.result(seconds)

    async def call(self, work: Callable[[], Result]) -> Result:
        """Do what blocks."""
        return work()

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float) -> Result:
        """Run one exchange with a server."""
        return waiting.wait(generator, descriptor, interval, seconds)


class _OnLoop:
    """WaitMode on the running event loop."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(seconds)

    async def outcome(self, future: "Future[Result]", seconds: float) -> Result:
        """Return what another thread's work comes to."""
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(future)

    async def call(self, work: Callable[[], Result]) -> Result:
        """Do what blocks."""
        return await run_in_daemon_thread(work)

    async def exchange(self, generator: PQGen[Result], descriptor: int, interval: float, seconds: float) -> Result:
        """Run one exchange with a server."""
        return await waiting.wait_async(generator, descriptor, interval, seconds)


BLOCKING: WaitMode = _Blocking()
ON_LOOP: WaitMode = _OnLoop()


def run_sync(work: Coroutine[object, object, Result]) -> Result:
    """Run what never suspends, because it waits by blocking."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: Result = ended.value
        return result
    raise RuntimeError("it waits for an event loop")
