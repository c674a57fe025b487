"""Owns commands as people type them, in an environment without settings."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY
from tests.support.forked import run_forked
from tests.support.processes import starts_processes

PATIENCE = 60.0  # for a command on a busy machine


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no setting in the environment."""
    for name in os.environ:
        if name.startswith("POSTBACK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def answer(self) -> dict[str, object]:
        """Return the JSON object that was printed."""
        parsed: dict[str, object] = json.loads(self.out)
        return parsed


Command = Callable[..., Ended]


@pytest.fixture
@starts_processes
def service(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run a command in the bare folder, in a process of its own; keywords are settings, without their prefix."""
    told = tmp_path_factory.mktemp("told")

    def run(*arguments: str, **settings: str) -> Ended:
        files = (told / "out", told / "err")
        code = run_forked(arguments, bare, _environment(settings), files, PATIENCE)
        return Ended(code, *(file.read_text(encoding="utf-8") for file in files))

    return run


@pytest.fixture
@starts_processes
def at_terminal(bare: Path) -> Command:
    """Run `python -m service …` as a person does who types `typed`, and return what the screen shows as `out`."""

    def run(*arguments: str, typed: str = "", **settings: str) -> Ended:
        ours, theirs = pty.openpty()
        os.write(ours, typed.encode())
        with subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=bare,
            env=_environment(settings),
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.close(theirs)
            shown = b"".join(iter(partial(_shown, ours), b""))
            _, told = process.communicate(timeout=PATIENCE)
        os.close(ours)
        return Ended(process.returncode, shown.decode(), told)

    return run


def _shown(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: nobody writes to it any more
        return b""


def _environment(settings: dict[str, str]) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    return environment | {f"POSTBACK_{name}": value for name, value in settings.items()}
