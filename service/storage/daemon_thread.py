"""Owns blocking calls made on threads that nobody waits for at the end: a disk or a server may hang."""

import asyncio
from collections.abc import Callable
from threading import Thread
from typing import TypeVar, cast

Result = TypeVar("Result")


async def run_in_daemon_thread(function: Callable[[], Result]) -> Result:
    """Run a blocking call on a thread of its own, and return what it returns."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: Exception | None) -> None:
        if future.done():  # given up by the stopping server
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(cast("Result", result))

    def work() -> None:
        try:
            loop.call_soon_threadsafe(settle, function(), None)
        except Exception as error:  # noqa: BLE001 - the awaiting task must hear of it
            loop.call_soon_threadsafe(settle, None, error)

    Thread(target=work, name="blocking-call", daemon=True).start()
    return await future
