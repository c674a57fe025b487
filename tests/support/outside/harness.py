"""Owns the service as a process: its settings, its life and death, and what can be seen of it from outside."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Self, TypeVar
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.outside.postgres import run_sql
from tests.support.outside.wire import Address, Answer, Wire, refused, request

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 60  # a busy machine, under strace
EXIT_SECONDS = 10  # what the service promises after SIGTERM

Row = tuple[object, ...]
LogLine = dict[str, object]
Found = TypeVar("Found")


class NotStarted(Exception):  # noqa: N818 - what happened
    """The service ended before it listened."""


class Metrics(list[Sample]):
    """The samples of one scrape."""

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that carry these labels."""
        return sum(s.value for s in self if s.name == name and labels.items() <= s.labels.items())

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Return the samples of this name that are not 0, by one label."""
        return {s.labels[label]: s.value for s in self if s.name == name and s.value}


class Service:
    """`python -m service run` on free loopback ports with a database in `directory`; always stopped at the end.

    `settings` are environment variables without their prefix; `wrapper` is a command that runs the service (strace).
    With `stdout`, a file descriptor to use instead of a file, the test itself waits for the line that says where the
    service listens, and calls `announced`.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        wrapper: Sequence[str] = (),
        database: Path | None = None,
        stdout: int | None = None,
    ) -> None:
        self.directory = directory
        self.database = database or directory / "p.db"
        self.database_url = (settings or {}).get("DATABASE_URL", f"sqlite:///{self.database}")
        self._wrapper = wrapper
        self._stdout = stdout
        self._environment = clean_environment() | {
            f"POSTBACK_{name}": value
            for name, value in {
                "PORT": "0",
                "OPERATOR_PORT": "0",
                "DATABASE_URL": f"sqlite:///{self.database}",
                "LOG_FORMAT": "json",
                **(settings or {}),
            }.items()
        }

    def __enter__(self) -> Self:
        """Start the service and wait until it listens. Raises NotStarted."""
        self.launch()
        try:
            if self._stdout is None:
                self.announced(self._wait_for_listening())
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, whatever state it is in."""
        self.kill()

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        out, self._log_path = _output(self.directory, "out")
        err, self._error_path = _output(self.directory, "err")
        with out, err:
            self._process = subprocess.Popen(
                [*self._wrapper, sys.executable, "-m", "service", "run"],
                stdin=subprocess.DEVNULL,
                stdout=out if self._stdout is None else self._stdout,
                stderr=err,
                cwd=self.directory,  # no .env of a developer is read
                env=self._environment,
                start_new_session=True,  # a group of its own: what a wrapper started is stopped with it
            )

    def announced(self, line: LogLine) -> None:
        """Take the addresses from the line that says the service listens."""
        self.public, self.operator = address(line["public"]), address(line["operator"])
        self.pid = int(str(line["pid"]))

    def _wait_for_listening(self) -> LogLine:
        def listening() -> LogLine | None:
            ended = self._process.poll() is not None
            found = next((line for line in self.log_lines() if line["event"] == "listening"), None)
            if found is None and ended:
                raise NotStarted(f"exit code {self._process.returncode}: {self.stderr()}")
            return found

        return wait_for(listening, START_SECONDS)

    def get(self, target: str | bytes, *, timeout: float = 10, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one GET to the public listener, on a connection of its own."""
        with Wire(self.public, timeout=timeout) as wire:
            return wire.exchange(request(target, headers={"Connection": "close", **(headers or {})}))

    def postback(self, click_id: str, value: str = "1.50") -> Answer:
        """Send one postback; both texts go out as they are."""
        return self.get(f"/postback?c={click_id}&value={value}")

    def refuses_connections(self) -> bool:
        """Tell whether nobody listens on the public address any more."""
        return refused(self.public)

    def ask_operator(self, target: str) -> Answer:
        """Send one GET to the operator listener."""
        with Wire(self.operator) as wire:
            return wire.exchange(request(target, headers={"Connection": "close"}))

    def metrics(self) -> Metrics:
        """Scrape /metrics."""
        return scrape(self.operator)

    def sql(self, statement: str, *parameters: str) -> list[Row]:
        """Read the database, whether the service runs or not, on a connection that cannot write or checkpoint."""
        if self.database_url.startswith("sqlite"):
            return read_database(self.database, statement, *parameters)
        return run_sql(self.database_url, statement, *parameters)

    def log_text(self) -> str:
        """Return all that was written to stdout until now."""
        return self._log_path.read_text(encoding="utf-8")

    def log_lines(self) -> list[LogLine]:
        """Return the complete lines of stdout; each must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines(keepends=True) if line.endswith("\n")]

    def stderr(self) -> str:
        """Return all that was written to stderr until now."""
        return self._error_path.read_text(encoding="utf-8")

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the service (not its wrapper) a signal."""
        os.kill(self.pid, signum)

    def terminate(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Ask the service to stop; return its exit code. Fails the test when it takes longer than promised."""
        self.send_signal(signum)
        return self.wait(EXIT_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait(self, seconds: float = START_SECONDS) -> int:
        """Wait until the process has ended; return its exit code (negative: the signal that killed it)."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for the process and what it started, and wait until it is gone."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(START_SECONDS)


def scrape(operator: Address) -> Metrics:
    """Read the metrics page of one operator listener."""
    with Wire(operator) as wire:
        text = wire.exchange(request("/metrics", headers={"Connection": "close"})).body.decode()
    return Metrics(sample for family in text_string_to_metric_families(text) for sample in family.samples)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of the service or Python; the service comes from this tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSTBACK_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY)}


def command(directory: Path, database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the service to its end, as people do, on a database."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=directory,
        env={**clean_environment(), "POSTBACK_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


def migrate(directory: Path, database_url: str) -> None:
    """Bring a database to the newest schema."""
    ended = command(directory, database_url, "migrate", "up")
    assert ended.returncode == 0, ended.stderr


def read_database(path: Path, statement: str, *parameters: str) -> list[Row]:
    """Return the rows of a query on a SQLite file that another process may be writing."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        return connection.execute(statement, parameters).fetchall()


def wait_for(look: Callable[[], Found | None], seconds: float, every: float = 0.01) -> Found:
    """Return the first thing that `look` finds; raise TimeoutError after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every)
    raise TimeoutError(f"nothing after {seconds} s")


def _output(directory: Path, name: str) -> tuple[IO[bytes], Path]:
    descriptor, path = tempfile.mkstemp(prefix=f"{name}-", dir=directory)
    return os.fdopen(descriptor, "wb"), Path(path)


def address(url: object) -> Address:
    """Return where a URL leads."""
    parts = urlsplit(str(url))
    if parts.hostname is None or parts.port is None:
        raise NotStarted(f"not an address: {url}")
    return parts.hostname, parts.port


def resident_kib(pid: int) -> int:
    """Return how much memory a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
