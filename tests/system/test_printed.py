"""Owns the proof that what the documents print is what is printed: their commands are run, as they stand, and compared.

A command begins with `$ ` in a code block, and what it prints follows. Each document has a service of its own, in an
empty folder. What varies is made equal on both sides: moments, process, revision. Request ids are numbered in the
order in which they are first printed, so one that a document repeats must repeat.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.outside.harness import REPOSITORY, START_SECONDS, clean_environment, wait_for
from tests.support.outside.tools import need

pytestmark = pytest.mark.system

START = "make run"
BLOCKS = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARYING = {
    r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT": "DATE",
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+": "MOMENT",
    r"^\d\d:\d\d:\d\d\.\d{3} ": "CLOCK ",
    r"\bpid=\d+": "pid=PID",
    r"\brevision=\w+": "revision=REVISION",
}


class Step(NamedTuple):
    """A command that a document shows, and what it says is printed."""

    command: str
    printed: list[str]


def steps(document: Path) -> list[Step]:
    """Return the commands of a document with their output; a command goes on after a pipe or a backslash."""
    found: list[Step] = []
    for block in BLOCKS.findall(document.read_text(encoding="utf-8")):
        for line in block.splitlines() if re.search(r"^\$ ", block, re.MULTILINE) else ():
            if line.startswith("$ "):
                found.append(Step(line.removeprefix("$ "), []))
            elif found[-1].command.endswith(("|", "\\")) and not found[-1].printed:
                found[-1] = Step(f"{found[-1].command}\n{line}", [])
            else:
                found[-1].printed.append(line)
    return found


def documents() -> list[Path]:
    """Return the documents that show commands with their output."""
    every = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [document for document in every if steps(document)]


def comparable(lines: list[str]) -> list[str]:
    """Make equal what varies from run to run."""
    text = "\n".join(line.rstrip() for line in lines)
    for pattern, word in VARYING.items():
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    for number, request_id in enumerate(dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\b", text)), 1):
        text = text.replace(request_id, f"ID-{number}")
    return text.splitlines()


class Reader:
    """Somebody who types what a document shows, in a folder where the service was started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = directory / "terminal"
        self._ports = {"8000": "", "8001": ""}
        (directory / ".venv").symlink_to(sys.prefix)
        (directory / ".curlrc").write_text("no-progress-meter\n", encoding="ascii")  # a terminal shows none for a line

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Start the service on free ports, with the log that a terminal shows."""
        settings = {"POSTBACK_PORT": "0", "POSTBACK_OPERATOR_PORT": "0", "POSTBACK_LOG_FORMAT": "console"}
        command = [".venv/bin/python", "-m", "service", "run"]
        with (
            self._log.open("wb") as log,
            subprocess.Popen(
                command, cwd=self._directory, env={**clean_environment(), **settings}, stdout=log
            ) as process,
        ):
            try:
                wait_for(lambda: "open_mode" in self._log.read_text(encoding="utf-8"), START_SECONDS)
                listening = self._log.read_text(encoding="utf-8")
                for documented, name in (("8000", "public"), ("8001", "operator")):
                    (self._ports[documented],) = re.findall(rf"{name}=http://127\.0\.0\.1:(\d+)", listening)
                yield
            finally:
                process.terminate()

    def type(self, step: Step) -> list[str]:
        """Run a command, and return what is printed."""
        if step.command == START:
            return self._documented(self._log.read_text(encoding="utf-8")).splitlines()[: len(step.printed)]
        command = step.command
        for documented, port in self._ports.items():
            command = command.replace(f":{documented}", f":{port}")
        ended = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self._directory,
            env={**clean_environment(), "CURL_HOME": str(self._directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), step.command
        return self._documented(ended.stdout).splitlines()

    def _documented(self, text: str) -> str:
        for documented, port in self._ports.items():
            text = text.replace(f":{port}", f":{documented}")
        return text


@pytest.mark.proof
@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_what_a_document_prints_is_what_is_printed(tmp_path: Path, document: Path) -> None:
    need("curl", "sqlite3")
    shown = steps(document)
    reader = Reader(tmp_path)
    with reader.serving():
        printed = [reader.type(step) for step in shown]
    expected = [line for step in shown for line in ("$ " + step.command, *step.printed)]
    actual = [line for step, lines in zip(shown, printed, strict=True) for line in ("$ " + step.command, *lines)]
    assert comparable(actual) == comparable(expected)


def test_make_run_is_what_the_reader_starts() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    dry = subprocess.run(
        ["make", "--dry-run", "run"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    assert dry.stdout.splitlines()[-1] == "exec .venv/bin/python -m service run"


def test_the_readme_shows_a_start_a_postback_and_where_it_went() -> None:
    commands = [step.command for step in steps(REPOSITORY / "README.md")]
    assert commands[0] == START
    assert sum(command.startswith("curl ") for command in commands) >= 2
    assert any(" lookup " in command for command in commands)
