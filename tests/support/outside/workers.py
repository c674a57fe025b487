"""Owns the service with several workers on a real PostgreSQL, and clients that note each connection that fails."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.outside.examining import Examined
from tests.support.outside.harness import LogLine, Metrics, Service, address, scrape
from tests.support.outside.ledger import Ledger
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.wire import Address, HungUp, Line, request

READY_SECONDS = 60
_LOOK_SECONDS = 0.2


class Workers(Service):
    """`python -m service run` with several workers and a database of its own."""

    operators: list[Address]

    def __init__(self, directory: Path, server: PostgresServer, workers: int = 2, **settings: str) -> None:
        url = server.url(server.new_database())
        super().__init__(
            directory,
            {"DATABASE_URL": url, "WORKERS": str(workers), "MIGRATE": "true", "OPERATOR_PORT": "0", **settings},
        )

    def announced(self, line: LogLine) -> None:
        """Take all operator addresses, too."""
        super().announced(line)
        operators = line["operators"]
        assert isinstance(operators, list)
        self.operators = [address(url) for url in operators]

    def events(self, event: str) -> list[LogLine]:
        """Return the log lines of one event."""
        return [line for line in self.log_lines() if line["event"] == event]

    def pids(self) -> list[int]:
        """Return the process that serves now as each worker."""
        newest = {str(line["worker"]): int(str(line["pid"])) for line in self.events("worker_ready")}
        return [newest[number] for number in sorted(newest, key=int)]

    def examine(self, *options: str) -> Examined:
        """Run doctor, with the settings of the service and the addresses that it told."""
        operators = [f"--operator-url=http://127.0.0.1:{port}" for _, port in self.operators]
        public = f"--public-url=http://127.0.0.1:{self.public[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "service", "doctor", "--json", public, *operators, *options],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Examined(ended.returncode, ended.stdout, ended.stderr)

    def of_each(self) -> list[Metrics]:
        """Scrape every worker."""
        return [scrape(operator) for operator in self.operators]


class Clients:
    """Senders that keep their connections as long as they may, and others that open one for each postback."""

    def __init__(self, service: Service, prefix: str) -> None:
        self.ledger = Ledger(prefix, seed=5)
        self.failed: Counter[str] = Counter()
        self.slowest = 0.0
        self._address = service.public

    async def press(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Send as fast as answers come, for so many seconds or until something is so; 12 keep, 6 open connections."""
        self._enough = False
        async with asyncio.TaskGroup() as group:
            for number in range(18):
                group.create_task(self._send(keeps=number < 12))
            end = time.monotonic() + seconds
            while time.monotonic() < end and not until():  # noqa: ASYNC110 - it may be seen from outside only
                await asyncio.sleep(_LOOK_SECONDS)
            self._enough = True

    async def _send(self, *, keeps: bool) -> None:
        line: Line | None = None
        while not self._enough:
            started = time.monotonic()
            try:
                line = line or await Line.connect(self._address)
                answer = await asyncio.wait_for(self.ledger.deliver(line, self.ledger.next_id()), 5)
            except (HungUp, OSError, TimeoutError) as failure:
                self.failed[f"{'kept' if keeps else 'new'} {type(failure).__name__}"] += 1
                line = hung_up(line)
                continue
            self.slowest = max(self.slowest, time.monotonic() - started)
            if not keeps or answer.headers.get("connection") == "close":
                line = hung_up(line)
        hung_up(line)


def hung_up(line: Line | None) -> Line | None:
    """Hang up, and return what is left of it."""
    if line:
        line.close()
    return None


async def processes_that_answer(public: Address, connections: int) -> Counter[str]:
    """Open so many connections at once, keep them, and count which process answers on each."""
    lines = await asyncio.gather(*(Line.connect(public) for _ in range(connections)))
    answers = await asyncio.gather(*(line.exchange(request("/healthz")) for line in lines))
    for line in lines:
        line.close()
    return Counter(answer.request_id[:16] for answer in answers)
