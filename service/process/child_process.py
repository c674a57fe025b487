"""Owns worker processes as their supervisor sees them: how one is started, told to end, and waited for."""

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from service.process.control_channel import READY, Assignment


class Worker:
    """One worker process."""

    def __init__(
        self, process: asyncio.subprocess.Process, reports: asyncio.StreamReader, orders: asyncio.StreamWriter
    ) -> None:
        self.pid = process.pid
        self.started_at = time.monotonic()
        self._process = process
        self._reports, self._orders = reports, orders

    async def ready(self, within: float | None = None) -> bool:
        """Wait until it serves; False if it ended before that, or did not come so far in time."""
        try:
            async with asyncio.timeout(within):
                return await self._reports.readexactly(1) == READY
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        except TimeoutError:
            self.kill()
            return False

    def tell(self, order: bytes) -> None:
        """Say how it is to end."""
        if not self._orders.is_closing():  # closed: it has ended already
            with suppress(ConnectionError):
                self._orders.write(order)

    async def ended(self, within: float | None = None) -> int:
        """Wait for its end, kill it when that takes too long, and return its exit code (negative: the signal's)."""
        try:
            code = await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        self._orders.close()
        return code

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()


class Launcher:
    """Starts workers; `alive` are those that were started and have not ended."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], public: Sequence[socket.socket], turns: int
    ) -> None:
        self.alive: set[Worker] = set()
        self._command, self._environment = command, environment
        self._public, self._turns = public, turns

    async def __call__(self, number: int, restarts: int, operator: socket.socket) -> Worker:
        """Start the worker of this number, after so many deaths of its predecessors."""
        ours, theirs = socket.socketpair()
        with theirs:
            assignment = Assignment(
                number,
                restarts,
                [listening.fileno() for listening in self._public],
                operator.fileno(),
                theirs.fileno(),
                self._turns,
            )
            command = (*self._command, "--worker", str(assignment))
            process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, pass_fds=assignment.descriptors
            )
        worker = Worker(process, *await asyncio.open_connection(sock=ours))
        self.alive.add(worker)
        return worker

    def stop_listening(self) -> None:
        """Let go of the public listeners."""
        for listening in self._public:
            listening.close()

    async def gone(self, worker: Worker, within: float | None = None) -> int:
        """Wait for a worker's end."""
        code = await worker.ended(within)
        self.alive.discard(worker)
        return code
