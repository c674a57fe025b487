"""Owns commands run in a process of their own that need not import everything again: a fork of one that has.

`python -m service` itself is what the system tests run.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from multiprocessing import forkserver
from pathlib import Path

from tests.support.documents import REPOSITORY
from tests.support.processes import FORKED

_PRELOADED = [
    "tests.support.forked",
    "service.cli",
    *(
        "service.cli.importing",
        "service.cli.registering",
        "service.operations.register.keys",
        "service.operations.reconciling.operation",
        "service.operations.erase",
        "service.cli.send.player",
        "service.operations.examine.sqlite_file",
        "service.operations.examine.public_listener",
        "service.process.app",
        "service.process.single_process",
        "service.operations.replay",
        "service.operations.reconciling.pairing",
        "service.storage.migrations.running",
        "service.storage.postgres.database",
    ),
]


def run_forked(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], files: tuple[Path, Path], seconds: float
) -> int:
    """Run a command with its output in two files; return its exit code. Raises TimeoutError."""
    return call_forked(_run, (list(arguments), directory, dict(environment), files), seconds)


def call_forked(function: Callable[..., None], arguments: tuple[object, ...], seconds: float) -> int:
    """Call a function in a process of its own; return the exit code. Raises TimeoutError."""
    sys.audit(FORKED, arguments)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with chdir(REPOSITORY):  # where it finds them
        forkserver.ensure_running()
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"still running after {seconds} s: {arguments[0]}")
    return process.exitcode


def _run(arguments: list[str], directory: Path, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(directory))  # as `python -m` has it
    redirect(files)
    run_here(arguments)


def redirect(files: tuple[Path, Path]) -> None:
    """Let what this process prints go into two files, or to two terminals."""
    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), stream.fileno())


def run_here(arguments: list[str]) -> None:
    """Run a command in this process, which it ends with SystemExit."""
    sys.argv = ["service", *arguments]
    from service.cli import app  # noqa: PLC0415 - loaded already, where this is forked from

    app(prog_name="python -m service")
