"""Owns the turn among the commits: how work that writes beside the postbacks is done on either engine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Turns(Protocol):
    """Does work that writes beside this process's commits: one after the other, in the order in which it was submitted.

    On both engines it runs on a thread that is neither the event loop's nor the caller's; what it raises is the
    future's, and StorageBroken ends the commits as well; once commits have ended, the future fails with StorageError.

    - SQLite: on the writer's thread, between two commits, so that neither waits for the other's lock. Postbacks wait
      for it as they wait for a commit: it must be short.
    - PostgreSQL: on a thread of its own. Commits go on meanwhile, and the server's locks on rows keep them apart.
    """

    def submit(self, work: "Callable[[], Result]", /) -> "Future[Result]":
        """Do it at its turn. A coroutine awaits `asyncio.wrap_future(turns.submit(work))`."""


class _Immediate:
    """For a process that commits nothing meanwhile, as a command: on the calling thread, at once."""

    def submit(self, work: "Callable[[], Result]") -> "Future[Result]":
        """Do it."""
        future: Future[Result] = Future()
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits for the future must hear of it
            future.set_exception(error)
        return future


IMMEDIATE: Turns = _Immediate()


def take_turn(turns: Turns, work: "Callable[[], Result]") -> Result:
    """Do it at its turn and wait. Raises RuntimeError on the thread of an event loop, which that would hold up."""
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises, and costs a traceback
        raise RuntimeError("this waits for the writer: call it on a thread, or await the future of Turns.submit")
    return turns.submit(work).result()
