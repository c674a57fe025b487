"""Owns a real PostgreSQL server for tests: its own data directory, durable as in production, killed or held at will.

Run as root, the server runs as `nobody`, because PostgreSQL refuses root.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

import psycopg

from tests.support.outside.postgres_programs import programs

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_QUIET = {  # small and quick to start; what concerns durability stays as PostgreSQL has it
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
}
_numbers = count(1)

Row = tuple[object, ...]


class PostgresServer:
    """A server on a free port of 127.0.0.1, from the entering of the context to its end.

    `settings` go into postgresql.conf. A server that was stopped or killed can be started again on its data.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postback-pg-"))
        self.data = self.directory / "data"
        self.port = free_port()
        self.log = self.directory / "log"
        self._settings = {**_QUIET, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the data directory and start."""
        try:
            _own(self.directory)
            self.make_data()
            self.configure(self._settings)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    @classmethod
    @contextmanager
    def empty(cls) -> Iterator[Self]:
        """Give a server with no data yet, to be filled from a backup before it starts."""
        server = cls()
        _own(server.directory)
        try:
            yield server
        finally:
            server.__exit__()

    def __exit__(self, *_: object) -> None:
        """Stop, and delete the data."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def make_data(self) -> None:
        """Make the data directory."""
        self.program(
            "initdb", "-D", str(self.data), "-E", "UTF8", "--locale=C.UTF-8", "-U", "postgres", "-A", "trust", "-N"
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add lines to postgresql.conf; they count from the next start on."""
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(lines)

    def start(self) -> None:
        """Start on the data there is, and wait until the server takes connections."""
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.directory)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(programs() / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that all its processes can be signalled together
                user=user(),
                group=group(),
                extra_groups=groups(),
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until a statement works. Raises TimeoutError with the end of the server's log."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.alive:
            with suppress(psycopg.OperationalError):
                self.sql("SELECT 1")
                return
            time.sleep(0.02)
        raise TimeoutError(f"no PostgreSQL: {self.log.read_text(errors='replace')[-2000:]}")

    @property
    def alive(self) -> bool:
        """Whether the server's first process runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self, signum: signal.Signals = signal.SIGINT) -> None:
        """Shut down: SIGINT disconnects everybody, SIGTERM waits for them, SIGQUIT aborts."""
        if self._process and self.alive:
            self._process.send_signal(signum)
            self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL for every process of the server at once."""
        if self._process and self.alive:
            self._signal_all(signal.SIGKILL)
            self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Stop every process of the server where it is; the kernel goes on taking connections."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them run again."""
        self._signal_all(signal.SIGCONT)

    def url(self, database: str = "postgres", **parameters: str) -> str:
        """Return the URL of a database."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def new_database(self, template: str = "template1") -> str:
        """Create a database of its own for somebody; return its name."""
        name = f"test_{next(_numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def sql(self, statement: str, *parameters: object, database: str = "postgres") -> list[Row]:
        """Run one statement and return its rows, if it has any."""
        return run_sql(self.url(database), statement, *parameters)

    def program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs to its end; return what it printed."""
        process = self.begin(name, *arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, f"{name}: {(err or out).decode()}"
        return out.decode()

    def begin(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start one of PostgreSQL's programs, as the server's user and in its directory."""
        return subprocess.Popen(
            [str(programs() / name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            user=user(),
            group=group(),
            extra_groups=groups(),
        )

    def own(self, *names: str) -> list[Path]:
        """Make empty directories of these names for the server's user; return where they are."""
        paths = [self.directory / name for name in names]
        for path in paths:
            path.mkdir()
            _own(path)
        return paths

    def _signal_all(self, signum: signal.Signals) -> None:
        assert self._process
        for process in [self._process.pid, *_children(self._process.pid)]:  # each backend has a session of its own
            with suppress(ProcessLookupError):
                os.kill(process, signum)


def run_sql(url: str, statement: str, *parameters: object) -> list[Row]:
    """Run one statement on a connection of its own; return its rows, if it has any."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def _children(parent: int) -> Sequence[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(pid) for pid in listed.split()]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _own(directory: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody")
    directory.chmod(0o755)


def user() -> str | None:
    """Say as whom PostgreSQL's programs run: they refuse root."""
    return "nobody" if os.geteuid() == 0 else None


def group() -> str | None:
    """Say in which group."""
    return "nogroup" if os.geteuid() == 0 else None


def groups() -> list[str] | None:
    """Say in which other groups."""
    return [] if os.geteuid() == 0 else None
