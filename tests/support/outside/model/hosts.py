"""Owns the hosts: the service as a process that is killed, stopped, restarted and rolled, on one database."""

import os
import signal
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from tests.support.outside.examining import Examined, plainly
from tests.support.outside.harness import LogLine, Service, address, scrape, wait_for
from tests.support.outside.wire import Address, HungUp, Wire, request

_SETTLED_SECONDS = 60.0


class _Serving(Service):
    """The service, with one worker or several."""

    def announced(self, line: LogLine) -> None:
        """Take all operator addresses."""
        super().announced(line)
        operators = line.get("operators")
        self.operators = [address(url) for url in operators] if isinstance(operators, list) else [self.operator]


class Host:
    """One machine that serves: its settings and its spool outlive its processes. `public` is None while it is down."""

    def __init__(self, name: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.public: Address | None = None
        self._directory = directory
        self._directory.mkdir()
        self.spool = directory / "spool"
        self._settings = {"SPOOL_DIR": str(self.spool), **settings}
        self.workers = int(settings.get("WORKERS", "1"))
        self._service: _Serving | None = None

    def start(self) -> None:
        """Serve."""
        service = _Serving(self._directory, self._settings, database=self._directory.parent / "p.db")
        self._service = service.__enter__()
        self.public = service.public

    def kill(self) -> None:
        """SIGKILL for every process of it at once."""
        self.public = None
        if self._service:
            self._service.kill()

    def stop(self) -> None:
        """Ask it to stop; what does not is killed, and a test that stops it for good sees to its exit code."""
        self.public = None
        if self._service and self._service.alive:
            with suppress(ProcessLookupError):
                self._service.send_signal(signal.SIGTERM)
            try:
                self._service.wait(30)
            finally:
                self._service.kill()

    def roll(self) -> None:
        """Replace its workers one after the other, and wait for nothing."""
        if self._service and self._service.alive:
            self._service.send_signal(signal.SIGHUP)

    def kill_a_worker(self) -> None:
        """SIGKILL for the worker that began to serve last; its supervisor starts another."""
        assert self._service
        ready = [line for line in self._service.log_lines() if line["event"] == "worker_ready"]
        with suppress(ProcessLookupError):
            os.kill(int(str(ready[-1]["pid"])), signal.SIGKILL)

    def revive(self) -> None:
        """Start it, unless it serves."""
        if self._service is None or not self._service.alive:
            self.start()

    def settle(self) -> None:
        """Wait until every worker is ready and nothing waits in a spool. Raises TimeoutError."""
        wait_for(lambda: self._settled() or None, _SETTLED_SECONDS, every=0.2)

    def _settled(self) -> bool:
        assert self._service
        with suppress(OSError, HungUp):
            return all(_is_at_rest(operator) for operator in self._service.operators) and not self.waiting()
        return False

    def waiting(self) -> int:
        """Count what is in the journals of this host, whoever owns them."""
        return sum(_entries(path) for path in self.spool.rglob("spool.db")) if self.spool.exists() else 0

    def drift(self) -> dict[str, float]:
        """Return by how much each process's books do not balance, where they do not; they may need a moment."""
        assert self._service
        deadline = time.monotonic() + 10
        while True:
            found = {
                f"{self.name} {port} {check}": amount
                for _, port in self._service.operators
                for check, amount in scrape((_, port)).by_label("postback_conservation_drift", "check").items()
            }
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def examine(self) -> Examined:
        """Run doctor with the settings of this host."""
        assert self._service
        assert self.public
        operators = [f"--operator-url=http://127.0.0.1:{port}" for _, port in self._service.operators]
        settings = {f"POSTBACK_{name}": value for name, value in self._settings.items()}
        settings["POSTBACK_DATABASE_URL"] = self._service.database_url
        public = f"--public-url=http://127.0.0.1:{self.public[1]}"
        return plainly(self._directory, "--json", "--timeout", "20", public, *operators, **settings)


def _is_at_rest(operator: Address) -> bool:
    with Wire(operator) as wire:
        ready = wire.exchange(request("/readyz", headers={"Connection": "close"}))
    return (
        ready.status == 200 and b"spooling" not in ready.body and scrape(operator).total("postback_spool_entries") == 0
    )


def _entries(path: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        return int(connection.execute("SELECT count(*) FROM entry").fetchone()[0])
    return 0
