"""Owns a writer on a fake store: how tests write to it, and what becomes of what they wrote."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from anyio.lowlevel import checkpoint

from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.committing import OnThread
from service.writing.writer import Writer, Written
from tests.support import builders
from tests.support.fakes import PATIENCE, FakeStore, in_time

DEADLINE = 60.0  # longer than any test: only the tests about it let it pass
Future = asyncio.Future[Written]
FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
BROKEN = StorageBroken("SQLITE_IOERR_FSYNC: disk I/O error", ErrorKind.SQLITE_IOERR)


@asynccontextmanager
async def writing(  # noqa: PLR0913 - what a test may set of a writer
    store: FakeStore,
    metrics: Metrics | None = None,
    *,
    capacity: int = 4096,
    deadline: float = DEADLINE,
    second_rows: int = 1,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Writer]:
    """Run a writer on a store; at the end let the store go and close the writer, also when the test failed.

    The clock tells the hour and measures each commit. A second batch may wait for the disk, however small it is.
    """
    writer = Writer(
        OnThread(store, clock),
        metrics or Metrics(),
        capacity=capacity,
        deadline=deadline,
        second_rows=second_rows,
        clock=clock,
    )
    writer.start()
    try:
        yield writer
    finally:
        store.gate.set()
        await in_time(writer.close())


def entries(count: int) -> list[Postback]:
    """Return postbacks of different keys."""
    return [builders.postback(f"c=click-{number}&value=1") for number in range(count)]


async def write_apart(writer: Writer, postbacks: Sequence[Postback]) -> list[Future]:
    """Write each in a turn of the loop of its own, as requests on different connections come."""
    futures = []
    for postback in postbacks:
        futures.append(writer.write(NOBODY, postback))
        await checkpoint()
    return futures


async def admitted(writer: Writer, postback: Postback) -> Future:
    """Write as soon as the writer takes entries again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return writer.write(NOBODY, postback)
            except StorageError:
                await checkpoint()


async def fates(futures: Sequence[Future]) -> list[str]:
    """Return what each future came to: `stored`, or the kind of its StorageError."""
    return [_fate(result) for result in await settled(futures)]


async def settled(futures: Sequence[Future]) -> list[Written | BaseException]:
    """Return what each future came to, errors too."""
    return await in_time(asyncio.gather(*futures, return_exceptions=True))


def _fate(result: Written | BaseException) -> str:
    match result:
        case Written():
            return result.verdict.outcome.name.lower()
        case StorageError():
            return result.kind
        case _:
            raise result
