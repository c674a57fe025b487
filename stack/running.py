"""Owns the life of the programs: start, wait until all are ready, pass on what they print, stop them in order."""

import asyncio
import contextlib
import os
import shutil
import signal
import urllib.error
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Sequence
from typing import Literal

from stack.programs import Program

_START_SECONDS = 60  # Prometheus reads its write-ahead log first
_STOP_SECONDS = 15  # the service promises 10
_LINE_BYTES = 1 << 20
_WIDTH = 12  # of the names in front of the lines
_Asked = asyncio.Task[Literal[True]]


class Failed(Exception):  # noqa: N818 - what happened
    """A program ended, or did not become ready; the message says which."""


async def run(programs: Sequence[Program], announcement: Sequence[str]) -> None:
    """Run until SIGINT or SIGTERM; say `announcement` when all are ready. Raises Failed. Leaves no process behind."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    children: list[_Child] = []
    asked = asyncio.create_task(stop.wait())
    try:
        for program in programs:
            children.append(await _Child.start(program))  # noqa: PERF401 - what has started is stopped if the next fails
        ends = [asyncio.create_task(child.end()) for child in children]
        ready = asyncio.gather(*(child.ready() for child in children))
        await _unless_over(ready, asked, ends)
        if not stop.is_set():
            for line in announcement:
                say("stack", line)
            await _unless_over(asked, asked, ends)
    finally:
        asked.cancel()
        for child in reversed(children):
            await child.stop()
    say("stack", "stopped")


async def _unless_over(
    wanted: asyncio.Future[list[None]] | _Asked, asked: _Asked, ends: list[asyncio.Task[str]]
) -> None:
    """Wait for what is wanted, or until it is asked to stop. Raises Failed when a child ends before."""
    await asyncio.wait([wanted, asked, *ends], return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        if end.done() and not asked.done():
            wanted.cancel()
            raise Failed(end.result())
    if wanted.done():
        await wanted
    else:
        wanted.cancel()


class _Child:
    """A running program in a session of its own, so that Ctrl-C reaches the stack and not all of them at once."""

    def __init__(self, program: Program, process: Process) -> None:
        self._program = program
        self._process = process
        self._printing = asyncio.create_task(self._print())

    @classmethod
    async def start(cls, program: Program) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            *_tied_to_us(),
            *program.command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={**os.environ, **program.environment},
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        return cls(program, process)

    async def end(self) -> str:
        """Wait until the process has ended and all of its lines are out; return a sentence."""
        code = await self._process.wait()
        await self._printing
        return f"{self._program.name} ended with exit code {code}"

    async def ready(self) -> None:
        """Wait until the program says that it is ready. Raises Failed after a minute."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await asyncio.to_thread(_is_ready, self._program.ready):  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Failed(f"{self._program.name} is not ready after {_START_SECONDS} s: {self._program.ready}") from None

    async def stop(self) -> None:
        """Ask the process to stop; kill it when it does not."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            say("stack", f"{self._program.name} does not stop and is killed")
            self._process.kill()
            await self._process.wait()
        await self._printing

    async def _print(self) -> None:
        assert self._process.stdout  # noqa: S101 - it was asked for
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                line = b"(a line of more than 1 MB is left out)"
            if not line:
                return
            say(self._program.name, line.decode(errors="replace").rstrip("\n"))


def say(name: str, line: str) -> None:
    """Print one line with the name of the program that it comes from; nobody may be reading any more."""
    with contextlib.suppress(BrokenPipeError):
        print(f"{name:<{_WIDTH}} | {line}", flush=True)  # noqa: T201 - what the program is for


def _is_ready(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on loopback
    try:
        with direct.open(url, timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004
    except (OSError, urllib.error.URLError):
        return False


def _tied_to_us() -> list[str]:
    """Return the words before a command that end it when this process is killed (Linux, util-linux)."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM", "--"] if found else []
