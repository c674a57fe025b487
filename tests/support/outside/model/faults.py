"""Owns the faults: what is killed, stopped, paused, cut off and restarted while senders go on."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tests.support.outside.model.hosts import Host
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.proxy import Proxy

_TERMINATED = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = $$%s$$"
)
_MARKS = (b"INSERT", b"COMMIT", b"duplicate", b"status_change", b"rejected_postback")


class Faults:
    """The faults of hosts that share a PostgreSQL server, each reached over a line of its own; one after the other."""

    def __init__(
        self,
        hosts: Sequence[Host],
        server: PostgresServer,
        lines: Sequence[Proxy],
        database: str,
        chance: random.Random,
    ) -> None:
        self.happened: Counter[str] = Counter()
        self._hosts = hosts
        self._server = server
        self._lines = lines
        self._database = database
        self._chance = chance

    @property
    def kinds(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Every kind of fault."""
        return {
            "host killed": self._host_killed,
            "worker killed": self._worker_killed,
            "host restarted": self._host_restarted,
            "rolling restart": self._rolled,
            "rolling restart in an outage": self._rolled_in_an_outage,
            "database killed": lambda: self._database_away(self._server.kill),
            "database stopped": lambda: self._database_away(self._server.stop),
            "database paused": self._database_paused,
            "connections terminated": self._terminated,
            "line held": self._line_held,
            "lines reset": self._lines_reset,
            "answer swallowed": self._answer_swallowed,
        }

    async def go_on(self, over: asyncio.Event, kinds: Sequence[str], calm: float = 1.0) -> None:
        """Let one fault after the other happen, with some seconds between them."""
        while not over.is_set():
            for kind in self._chance.sample(kinds, len(kinds)):
                if not over.is_set():
                    self.happened[kind] += 1
                    await self.kinds[kind]()
                    await asyncio.sleep(self._chance.uniform(0, 2 * calm))

    def mend(self) -> None:
        """Let everything be there again."""
        for line in self._lines:
            line.release()
        if not self._server.alive:
            self._server.start()
        for host in self._hosts:
            host.revive()

    def _host(self) -> Host:
        return self._chance.choice(self._hosts)

    async def _host_killed(self) -> None:
        host = self._host()
        await asyncio.to_thread(host.kill)
        await asyncio.to_thread(host.start)

    async def _host_restarted(self) -> None:
        host = self._host()
        await asyncio.to_thread(host.stop)
        await asyncio.to_thread(host.start)

    async def _worker_killed(self) -> None:
        self._several().kill_a_worker()
        await self._a_while(1.0)

    def _several(self) -> Host:
        return next(host for host in self._hosts if host.workers > 1)

    async def _rolled(self) -> None:
        self._several().roll()
        await self._a_while(2.0)

    async def _rolled_in_an_outage(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await self._a_while(0.5)
        await self._rolled()
        await asyncio.to_thread(self._server.start)

    async def _database_away(self, go: Callable[[], None]) -> None:
        await asyncio.to_thread(go)
        await self._a_while(2.0)
        await asyncio.to_thread(self._server.start)

    async def _database_paused(self) -> None:
        self._server.pause()
        await self._a_while(2.5)
        self._server.go_on()

    async def _terminated(self) -> None:
        for _ in range(20):
            await asyncio.to_thread(self._server.sql, _TERMINATED % self._database)
            await self._a_while(0.1)

    async def _line_held(self) -> None:
        line = self._chance.choice(self._lines)
        line.hold()
        await self._a_while(2.5)
        line.release()

    async def _lines_reset(self) -> None:
        for _ in range(10):
            self._chance.choice(self._lines).reset()
            await self._a_while(0.2)

    async def _answer_swallowed(self) -> None:
        for _ in range(5):
            self._chance.choice(self._lines).cut_after(self._chance.choice(_MARKS))
            await self._a_while(0.3)

    async def _a_while(self, seconds: float) -> None:
        await asyncio.sleep(self._chance.uniform(seconds / 2, seconds * 1.5))
