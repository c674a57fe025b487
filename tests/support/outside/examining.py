"""Owns runs of `doctor` from outside: how it is started, beside what, and what its report says."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.outside.harness import Service, clean_environment

MACHINE = {"file_system", "disk_space", "inodes", "clock_sync", "file_descriptors"}  # not of the service's making

Run = tuple[Path, Sequence[str], Mapping[str, str]]  # where, with which options, with which settings


@dataclass(frozen=True)
class Examined:
    """How a run of doctor ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Return the JSON object."""
        return dict(json.loads(self.out))

    def check(self, name: str) -> tuple[str, str]:
        """Return the state and the sentence of one check."""
        (found,) = [check for check in self.report["checks"] if check["name"] == name]
        return found["state"], found["sentence"]

    def named(self, state: str) -> set[str]:
        """Return the checks in a state, what depends on the machine left out."""
        return {check["name"] for check in self.report["checks"] if _state(check) == state} - MACHINE


def _state(check: Mapping[str, str]) -> str:
    slow = check["sentence"].startswith("GET /healthz answered 200 in ")  # the machine is, not the service
    return "ok" if slow else check["state"]


FORKED = """
import json, os, sys
import service.cli
from service.cli import doctor_report

for line in sys.stdin:
    children = []
    for run in json.loads(line):
        if not (child := os.fork()):
            os.chdir(run["directory"])
            os.environ.clear()
            os.environ.update(run["environment"])
            for descriptor, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(run[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            service.cli.app(["doctor", *run["options"]], prog_name="python -m service")
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
"""


class Command:
    """The command, imported once and forked for every run: nine tenths of a run of its own would be imports."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
            bufsize=1,
        )

    def __call__(self, directory: Path, *options: str, **settings: str) -> Examined:
        """Run the command with these settings in a folder."""
        return self.together({"": (directory, options, settings)})[""]

    def together(self, runs: Mapping[str, Run]) -> dict[str, Examined]:
        """Do several runs at once."""
        asked = [
            {
                "directory": str(directory),
                "environment": {**clean_environment(), **settings},
                "options": options,
                "out": str(self._directory / f"out-{number}"),
                "err": str(self._directory / f"err-{number}"),
            }
            for number, (directory, options, settings) in enumerate(runs.values())
        ]
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        codes = json.loads(self._process.stdout.readline())
        texts = [[Path(str(run[name])).read_text(encoding="utf-8") for name in ("out", "err")] for run in asked]
        return {name: Examined(code, out, err) for name, code, (out, err) in zip(runs, codes, texts, strict=True)}

    def beside(self, service: Service, *options: str, **settings: str) -> Examined:
        """Run it with the settings that a running service was started with."""
        return self.together({"": beside(service, *options, **settings)})[""]

    def close(self) -> None:
        """End the process that forks."""
        self._process.communicate(timeout=60)


def beside(service: Service, *options: str, **settings: str) -> Run:
    """Return a run with the settings that a running service was started with."""
    return service.directory, ("--json", "--timeout", "20", *options), settings_of(service) | settings


def settings_of(service: Service) -> dict[str, str]:
    return {
        "POSTBACK_PORT": str(service.public[1]),
        "POSTBACK_OPERATOR_PORT": str(service.operator[1]),
        "POSTBACK_DATABASE_URL": service.database_url,
    }


def plainly(directory: Path, *options: str, **settings: str) -> Examined:
    """Run the command as people do, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "service", "doctor", *options],
        cwd=directory,
        env=clean_environment() | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Examined(ended.returncode, ended.stdout, ended.stderr)
