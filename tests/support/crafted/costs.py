"""Owns what requests cost the service in this process: time, memory, and how long they hold its loop."""

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeVarTuple

from starlette.types import ASGIApp

from tests.support.crafted.requests import Request
from tests.support.in_memory import Exchanged, Wire
from tests.support.served import serving

_PATIENCE = 120  # seconds


Taken = TypeVarTuple("Taken")


class Cost(NamedTuple):
    """What a request cost the event loop: functions called, in C too; rows; seconds of the longest turn.

    Calls are the same on any machine. The seconds, of the processor, are told and not judged.
    """

    calls: int
    rows: int
    held_seconds: float


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts the calls of its turns, or else takes the time of the longest."""

    counts = False
    calls = 0
    longest = 0.0

    def call_soon(
        self, callback: Callable[[*Taken], object], *args: *Taken, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it soon, and see how long it takes."""
        return super().call_soon(self._timed(callback), *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Taken], object], *args: *Taken, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it soon, and see how long it takes."""
        return super().call_soon_threadsafe(self._timed(callback), *args, context=context)

    def _timed(self, callback: Callable[[*Taken], object]) -> Callable[[*Taken], None]:
        def counted(*args: *Taken) -> None:
            sys.setprofile(self._count)
            try:
                callback(*args)
            finally:
                sys.setprofile(None)

        def timed(*args: *Taken) -> None:
            if self.counts:
                counted(*args)
                return
            began = time.thread_time()
            callback(*args)
            self.longest = max(self.longest, time.thread_time() - began)

        return timed

    def _count(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.calls += event in ("call", "c_call")


class _Local(Wire):
    """A client on this machine, which hears when the connection is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_by_us = asyncio.Event()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell addresses."""
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def close(self) -> None:
        """Close it."""
        super().close()
        self.closed_by_us.set()

    abort = close

    def write_eof(self) -> None:
        """End it, without waiting for what else is sent."""
        super().write_eof()
        self.closed_by_us.set()


class Service:
    """The public listener in this process, on a database of its own; made in an event loop."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def status_of(self, request: Request) -> int:
        """Send a request; return the status of the answer."""
        return (await self._answered(request)).whole_answers()[-1].status

    async def _answered(self, request: Request) -> Exchanged:
        wire = _Local()
        exchanged = Exchanged(self._application, wire=wire)
        wire.send(request.wire)
        await asyncio.wait_for(wire.closed_by_us.wait(), _PATIENCE)
        await asyncio.sleep(0)
        return exchanged

    async def cost_of(self, request: Request) -> Cost:
        """Return what a request costs: its time without the counting, then its calls."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        loop.longest = 0.0
        await self._answered(request)
        loop.calls = 0
        loop.counts = True
        answered = await self._answered(request)
        loop.counts = False
        return Cost(loop.calls, _rows(answered), loop.longest)

    async def rows_of(self, request: Request) -> int:
        """Return how many rows a request has an outcome for."""
        return _rows(await self._answered(request))

    async def peak_of(self, request: Request) -> int:
        """Return how many bytes were taken at most, above what was before."""
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        await self._answered(request)
        return tracemalloc.get_traced_memory()[1] - before


@asynccontextmanager
async def service(path: Path) -> AsyncIterator[Service]:
    """Serve without collecting garbage: who pays for it is chance."""
    gc.collect()
    gc.disable()
    try:
        async with serving(path) as served:
            yield Service(served.application)
    finally:
        gc.enable()


def _rows(answered: Exchanged) -> int:
    sums = answered.whole_answers()[-1].headers.get("x-postback-outcomes", "")
    return sum(int(one.partition("=")[2]) for one in sums.split())
