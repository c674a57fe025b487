"""Owns one burst of load: runs wrk with unique click ids against a server on loopback and parses what it saw."""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("postback.lua")

# One thread is half idle while the fastest peer keeps a whole core busy. A second one raised no rate and lowered no
# p99, and on two cores it competes with the server.
THREADS = 1
# wrk drops what took longer than its time-out from the percentiles, so it must be longer than any honest answer.
TIMEOUT_SECONDS = 10
_GRACE_SECONDS = 60


class LoadFailed(Exception):  # noqa: N818 - what happened, as the message says it
    """The load could not be run, or nothing was answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw in one burst. Latencies are milliseconds, as its histogram corrects them for stalls."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    status_errors: int
    socket_errors: int
    timeouts: int

    @property
    def accepted(self) -> int:
        """Answers below 400: every server here answers either 200 or an error."""
        return self.requests - self.status_errors

    @property
    def rate(self) -> float:
        """Accepted answers a second."""
        return self.accepted / self.seconds


def available() -> bool:
    """Say whether wrk is on the PATH."""
    return shutil.which("wrk") is not None


def put_load(port: int, connections: int, seconds: int, more: str = "") -> Load:
    """Send postbacks to 127.0.0.1:port over so many connections for so long; `more` ends each query.

    Raises LoadFailed.
    """
    command = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", secrets.token_hex(8), more]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _GRACE_SECONDS, check=False)
    except subprocess.TimeoutExpired as stuck:
        raise LoadFailed(f"wrk did not end: {' '.join(command)}") from stuck
    report = next((line for line in reversed(ended.stdout.splitlines()) if line.startswith("{")), None)
    if ended.returncode or report is None:
        raise LoadFailed(f"wrk failed ({ended.returncode}): {ended.stderr.strip() or ended.stdout.strip()}")
    return Load(**json.loads(report))
