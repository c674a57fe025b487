"""Owns how an application's coroutine is driven: as a task, or by hand where it needs none.

A task costs a tenth of a request: it is made, put into sets, and its first step is a turn of the event loop of its own.
By hand the first step is a call, and each further one is a callback of the future that is waited for. There is no
current task then, so `asyncio.timeout` and anyio do not work, and context variables are the connection's.
"""

import asyncio
from collections.abc import Callable, Coroutine, MutableSet
from functools import partial
from typing import Protocol, cast

Ended = Callable[[BaseException | None], None]
Application = Coroutine[object, None, None]


class Cancellable(Protocol):
    """What runs, as uvicorn sees it at the end: it waits for all of them, then cancels them."""

    def cancel(self, msg: str | None = None) -> object:
        """Let what it waits for raise CancelledError."""


Running = MutableSet[Cancellable]


def drive_as_task(coroutine: Application, running: Running, ended: Ended) -> None:
    """Drive it as a task of its own; then say with which error it ended, if any."""
    task = asyncio.get_running_loop().create_task(coroutine)
    running.add(task)
    task.add_done_callback(partial(_task_done, running, ended))


def _task_done(running: Running, ended: Ended, task: "asyncio.Task[None]") -> None:
    running.discard(task)
    ended(asyncio.CancelledError() if task.cancelled() else task.exception())


def drive_by_hand(coroutine: Application, running: Running, ended: Ended) -> None:
    """Drive it without a task; then say with which error it ended, if any."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        ended(None)
    except BaseException as error:  # noqa: BLE001 - handed over
        ended(error)
    else:
        _Driven(coroutine, running, ended, awaited)


class _Driven:
    """A coroutine that is driven by hand, from its first wait on."""

    __slots__ = ("_awaited", "_coroutine", "_ended", "_running")

    def __init__(self, coroutine: Application, running: Running, ended: Ended, awaited: object) -> None:
        self._coroutine = coroutine
        self._running = running
        self._ended = ended
        running.add(self)
        self._wait(awaited)

    def step(self, _done: object) -> None:
        """Go on until it waits or ends. A future that is done raises its own error where it is awaited."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration:
            self._end(None)
        except BaseException as error:  # noqa: BLE001 - handed over
            self._end(error)
        else:
            self._wait(awaited)

    def _wait(self, awaited: object) -> None:
        if awaited is None:  # asyncio.sleep(0)
            awaited = asyncio.get_running_loop().create_future()
            awaited.set_result(None)
        self._awaited = cast("asyncio.Future[object]", awaited)
        self._awaited.add_done_callback(self.step)

    def _end(self, error: BaseException | None) -> None:
        self._running.discard(self)
        self._ended(error)

    def cancel(self, msg: str | None = None) -> None:
        """Let what it waits for raise CancelledError, as a task does."""
        self._awaited.cancel(msg)
