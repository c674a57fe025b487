"""Owns the supervisor of several workers: it starts them, restarts who dies, and replaces one after the other.

Workers are programs of their own (not forks: each makes request ids from random bits of its own, and a rolling restart
runs the code, certificates and secrets that are there now). The supervisor holds a public listener for each: they stay
open whoever dies, so that connections which nobody has accepted yet are not lost.
"""

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import uvloop
from structlog.typing import FilteringBoundLogger

from service.process.child_process import Launcher, Worker
from service.process.control_channel import REPLACED, STOP
from service.process.hang_up import listen_for_hang_up
from service.process.restarts import HOPELESS, failures_in_a_row, pause_seconds
from service.process.sockets import bound, bound_together
from service.process.startup_log import announce, logging_to_stdout, tell_unknown_settings
from service.settings import PREFIX, Settings
from service.telemetry.log.line_sink import SharedOutput
from service.telemetry.metrics import Metrics

EXIT_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h: a worker was killed, or had to be
_START_SECONDS = 60.0  # of a later start; the first one may have a migration to run, or to wait for
_STOP_SECONDS = 8.5  # all of them together; whoever runs us waits for 10
_REPLACED_SECONDS = 15.0  # connections that rest are waited for, then requests, then the last commit


class NoWorkerServes(Exception):  # noqa: N818 - what happened
    """No worker serves, and another start would not help; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code if code > 0 else EXIT_SOFTWARE


def run(settings: Settings, command: Sequence[str]) -> int:
    """Serve with several workers until SIGTERM or SIGINT; SIGHUP replaces them. Return the exit code.

    `command` starts a worker; its assignment is added. The exit code is 0, EXIT_SOFTWARE, or that of the workers which
    could not be started. Raises CannotListen.
    """
    with ExitStack() as held:
        turns = held.enter_context(tempfile.TemporaryFile())
        log = held.enter_context(logging_to_stdout(settings, Metrics(), SharedOutput(turns.fileno())))
        tell_unknown_settings(log)
        public = held.enter_context(bound_together(settings.host, settings.port, settings.workers))
        ports = [settings.operator_port and settings.operator_port + index for index in range(settings.workers)]
        operators = [held.enter_context(bound(settings.operator_host, port)) for port in ports]
        launch = Launcher(command, _environment(settings, public[0]), public, turns.fileno())
        slots = [_Slot(number, operator, launch, log.logger) for number, operator in enumerate(operators, 1)]
        announced = partial(announce, settings, log.logger, public[0], operators)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Supervisor(slots, launch, log.logger).run(announced))


def _environment(settings: Settings, public: socket.socket) -> dict[str, str]:
    """Return what workers read their settings from; the command line's options are ours alone and go with it."""
    given = {"HOST": settings.host, "PORT": str(public.getsockname()[1]), "MIGRATE": str(settings.migrate)}
    return {**os.environ, **{PREFIX + name: text for name, text in given.items()}}


class _Slot:
    """The place of one worker: its number, its operator listener, and who is in it."""

    def __init__(self, number: int, operator: socket.socket, launch: Launcher, logger: FilteringBoundLogger) -> None:
        self.number = number
        self.hopeless = False  # nobody serves here, and the last starts all failed
        self._operator = operator
        self._launch = launch
        self._logger = logger
        self._restarts = 0
        self._failures = 0
        self._changing = asyncio.Lock()

    async def begin(self) -> None:
        """Start the first worker. Raises NoWorkerServes if it does not come to serve: as a single process would."""
        worker = await self._start()
        if not await worker.ready():
            raise NoWorkerServes(await self._launch.gone(worker))
        self._worker = worker

    async def keep(self, give_up_if_hopeless: Callable[[int], None]) -> None:
        """Restart whoever dies, for ever."""
        while True:
            worker = self._worker
            code = await self._launch.gone(worker)
            async with self._changing:
                if worker is self._worker:  # else it was replaced
                    await self._restart(worker, code, give_up_if_hopeless)

    async def replace(self) -> bool:
        """Start another worker and end the present one when the new one serves; False if that does not come so far."""
        async with self._changing:
            new = await self._start()
            if not await new.ready(_START_SECONDS):
                await self._launch.gone(new)
                return False
            old, self._worker = self._worker, new
        old.tell(REPLACED)
        await self._launch.gone(old, _REPLACED_SECONDS)
        return True

    async def _start(self) -> Worker:
        return await self._launch(self.number, self._restarts, self._operator)

    async def _restart(self, dead: Worker, code: int, give_up_if_hopeless: Callable[[int], None]) -> None:
        while True:
            self._failures = failures_in_a_row(self._failures, time.monotonic() - dead.started_at)
            self._restarts += 1
            pause = pause_seconds(self._failures)
            self._logger.error(
                "worker_died", worker=self.number, died=dead.pid, exit_code=code, restarts=self._restarts, pause=pause
            )
            self.hopeless = self._failures >= HOPELESS
            give_up_if_hopeless(code)
            await asyncio.sleep(pause)
            worker = await self._start()
            if await worker.ready(_START_SECONDS):
                self._worker, self.hopeless = worker, False
                return
            dead, code = worker, await self._launch.gone(worker)


class _Supervisor:
    """All slots, from the start to the end."""

    def __init__(self, slots: Sequence[_Slot], launch: Launcher, logger: FilteringBoundLogger) -> None:
        self._slots = slots
        self._launch = launch
        self._logger = logger
        self._again = asyncio.Event()

    async def run(self, started: Callable[[], None]) -> int:
        """Supervise until a signal, or until nothing helps; return the exit code."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        listen_for_hang_up(self._again.set, stop.set)
        work, stopped = asyncio.create_task(self._work(started)), asyncio.create_task(stop.wait())
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        hopeless = work.result() if work.done() else None
        self._logger.log(50 if hopeless else 20, "stopping", reason="no worker serves" if hopeless else "signal")
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
        code = await self._end()
        self._logger.info("stopped")
        return hopeless or code

    async def _work(self, started: Callable[[], None]) -> int:
        """Start and keep all workers; return the exit code when that is hopeless."""
        first, *others = self._slots
        code = 0
        try:
            await first.begin()  # alone: what keeps it from starting is said once, and a new database is made by one
            async with asyncio.TaskGroup() as group:
                for slot in others:
                    group.create_task(slot.begin())
            started()
            async with asyncio.TaskGroup() as group:
                for slot in self._slots:
                    group.create_task(slot.keep(self._give_up_if_hopeless))
                group.create_task(self._replace_all_when_told())
        except* NoWorkerServes as several:
            code = max(hopeless.code for hopeless in several.exceptions if isinstance(hopeless, NoWorkerServes))
        return code

    def _give_up_if_hopeless(self, code: int) -> None:
        if all(slot.hopeless for slot in self._slots):
            raise NoWorkerServes(code)

    async def _replace_all_when_told(self) -> None:
        while await self._again.wait():
            self._again.clear()
            self._logger.info("replacing_workers", workers=len(self._slots))
            for slot in self._slots:
                if not await slot.replace():
                    self._logger.error("replacing_stopped", worker=slot.number, detail="a new worker did not start")
                    break
            else:
                self._logger.info("workers_replaced", workers=len(self._slots))

    async def _end(self) -> int:
        """End all workers within the time that whoever runs us grants; return the worst of their exit codes."""
        self._launch.stop_listening()  # or newcomers would wait for nobody
        alive = list(self._launch.alive)
        for worker in alive:
            worker.tell(STOP)
        codes = await asyncio.gather(*(self._launch.gone(worker, _STOP_SECONDS) for worker in alive))
        return max((NoWorkerServes(code).code for code in codes if code), default=0)
