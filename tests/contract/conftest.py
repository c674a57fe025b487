"""Owns what contract tests run in: an event loop, an environment without settings, and commands as people type them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.documents import REPOSITORY

PATIENCE = 60.0  # for a command on a busy machine


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio."""
    return "asyncio"


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
def service(bare: Path) -> Command:
    """Run `python -m service …` in the bare folder; keywords are settings, without their prefix."""

    def run(*arguments: str, **settings: str) -> Ended:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
        environment |= {f"POSTBACK_{name}": value for name, value in settings.items()}
        ended = subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=bare,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
