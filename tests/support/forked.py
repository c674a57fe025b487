"""Owns commands run in a process of their own that need not import everything again: a fork of one that has.

`python -m service` itself is what the system tests run.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
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
    sys.audit(FORKED, arguments)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with chdir(REPOSITORY):  # where it finds them
        forkserver.ensure_running()
    process = context.Process(target=_run, args=(list(arguments), directory, dict(environment), files))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"still running after {seconds} s: {' '.join(arguments)}")
    return process.exitcode


def _run(arguments: list[str], directory: Path, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), stream.fileno())
    sys.path.insert(0, str(directory))  # as `python -m` has it
    sys.argv = ["service", *arguments]
    from service.cli import app  # noqa: PLC0415 - loaded already, where this is forked from

    app(prog_name="python -m service")
