"""Owns the servers under load: how each is started, when it is ready, how it is stopped, what memory it took."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
OURS = "ours"
MUTE = "ours, mute"
TRACED = "ours, traced"
BARE = "bare Starlette"  # as uvicorn's command line starts it: it logs each request, as ours does
SILENT = "bare, access log off"
READING = "bare, reads, log off"
FLASK = "Flask recipe"
FASTAPI = "FastAPI + SQLModel"

_READY_SECONDS = 120.0  # under callgrind on a busy machine
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
_UVICORN = ("--loop", "uvloop", "--http", "httptools")


class ServerFailed(Exception):  # noqa: N818 - what happened, as the message says it
    """A server did not start, died, or could not be stopped; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How to start one server. `ready` is the port, the path and the status it answers there once it serves."""

    name: str
    command: tuple[str, ...]
    port: int
    ready: tuple[int, str, int]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    database: Path | None = None  # of ours only: where the conversions can be counted


@dataclass(frozen=True, slots=True)
class Server:
    """A started peer."""

    peer: Peer
    process: subprocess.Popen[bytes]

    def check_alive(self) -> None:
        """Raise ServerFailed if the started process has ended."""
        if self.process.poll() is not None:
            raise ServerFailed(f"{self.peer.name} died with {self.process.returncode}: {_tail(self.peer.log)}")

    def cpu_seconds(self) -> float:
        """Return the processor time that the started process (not its children) has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float:
        """Return the most memory (resident, MB of 2^20 bytes) that the started process ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if peak is None:
            raise ServerFailed(f"{self.peer.name} is gone: {_tail(self.peer.log)}")
        return int(peak[1]) / 1024


def ours(scratch: Path, database: Path) -> Peer:
    """Return the service itself, as `make run` starts it, with its log on and written to a file."""
    return _service(OURS, ("-m", "service", "run"), scratch, database)


def mute(scratch: Path, database: Path) -> Peer:
    """Return the same build without the counting and the lines of postbacks."""
    return _service(MUTE, ("-m", "tests.load.peer_mute"), scratch, database)


def traced(scratch: Path, database: Path) -> Peer:
    """Return the same build with its bytecodes counted."""
    return _service(TRACED, ("-m", "tests.load.peer_traced"), scratch, database)


def _service(name: str, program: tuple[str, ...], scratch: Path, database: Path) -> Peer:
    port, operator_port = free_ports(2)
    return Peer(
        name=name,
        command=(sys.executable, *program),
        port=port,
        ready=(operator_port, "/readyz", 200),
        log=scratch / f"{database.stem}.log",
        environment={
            "POSTBACK_HOST": "127.0.0.1",
            "POSTBACK_PORT": str(port),
            "POSTBACK_OPERATOR_HOST": "127.0.0.1",
            "POSTBACK_OPERATOR_PORT": str(operator_port),
            "POSTBACK_DATABASE_URL": f"sqlite:///{database}",
            "POSTBACK_LOG_FORMAT": "json",
        },
        database=database,
    )


def bare_starlette(scratch: Path) -> Peer:
    """Return the same framework and server with uvicorn's defaults, one process, storing nothing."""
    return _uvicorn(BARE, "peer_bare_starlette:app", scratch / "bare_starlette")


def silent_starlette(scratch: Path) -> Peer:
    """Return the ceiling: the same without its access log, so that nothing at all is written."""
    return _uvicorn(SILENT, "peer_bare_starlette:app", scratch / "silent_starlette", "--no-access-log")


def reading_starlette(scratch: Path) -> Peer:
    """Return the same, whose handler reads the two parameters."""
    return _uvicorn(READING, "peer_bare_starlette:reading", scratch / "reading_starlette", "--no-access-log")


def fastapi_sqlmodel(scratch: Path) -> Peer:
    """Return the tutorials' way, one uvicorn process."""
    return _uvicorn(FASTAPI, "peer_fastapi_sqlmodel:app", scratch / "fastapi_sqlmodel")


def flask(scratch: Path) -> Peer:
    """Return the guide's recipe under gunicorn, two workers of eight threads."""
    (port,) = free_ports(1)
    serve = ("--workers", "2", "--threads", "8", "--bind", f"127.0.0.1:{port}", "--no-control-socket")
    return Peer(
        name=FLASK,
        command=(sys.executable, "-m", "gunicorn", "--pythonpath", str(HERE), *serve, "peer_flask:app"),
        port=port,
        ready=(port, "/", 404),  # an app that is up knows no such path, and stores nothing
        log=scratch / "flask.log",
        environment={"PEER_DATABASE": str(scratch / "flask.db")},
    )


def _uvicorn(name: str, app: str, stem: Path, *options: str) -> Peer:
    (port,) = free_ports(1)
    return Peer(
        name=name,
        command=(
            sys.executable,
            "-m",
            "uvicorn",
            "--app-dir",
            str(HERE),
            "--port",
            str(port),
            *_UVICORN,
            *options,
            app,
        ),
        port=port,
        ready=(port, "/", 404),  # an app that is up knows no such path, and stores nothing
        log=stem.with_suffix(".log"),
        environment={"PEER_DATABASE_URL": f"sqlite:///{stem.with_suffix('.db')}?check_same_thread=false"},
    )


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now; held together, so that no two are the same."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(holder.getsockname()[1]) for holder in holders]
    for holder in holders:
        holder.close()
    return ports


@contextmanager
def running(peer: Peer) -> Iterator[Server]:
    """Start the peer, wait until it is ready, and stop it on the way out, whatever happened. Raises ServerFailed."""
    # A session of its own: Ctrl-C at the terminal reaches this program alone, which then stops what it started.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("POSTBACK_")}
    with peer.log.open("ab") as log:
        process = subprocess.Popen(
            peer.command,
            cwd=REPOSITORY,
            env={**inherited, **peer.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(peer, process)
        yield Server(peer, process)
    finally:
        _stop(peer, process)


def _wait_until_ready(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    port, path, status = peer.ready
    while get(port, path) != status:
        if process.poll() is not None:
            raise ServerFailed(f"{peer.name} ended with {process.returncode} at the start: {_tail(peer.log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{peer.name} was not ready in {_READY_SECONDS:.0f} s: {_tail(peer.log)}")
        time.sleep(_POLL_SECONDS)


def get(port: int, path: str) -> int | None:
    """Return the status of a GET to 127.0.0.1:port, None when nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError, HTTPException):
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status
    connection.close()
    return None


def _stop(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServerFailed(f"{peer.name} ignored SIGTERM for {_STOP_SECONDS:.0f} s: {_tail(peer.log)}") from None


def _tail(log: Path, size: int = 1500) -> str:
    return log.read_bytes()[-size:].decode(errors="replace").strip() or "(its log is empty)"
