"""Owns a trial: rounds of mixed traffic with faults and an operator's work, each held against the model."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.outside.harness import Row as SqlRow
from tests.support.outside.harness import migrate, read_database
from tests.support.outside.model.checking import Check, Difference
from tests.support.outside.model.clients import Clients
from tests.support.outside.model.commands import Commands
from tests.support.outside.model.faults import Faults
from tests.support.outside.model.history import History
from tests.support.outside.model.hosts import Host
from tests.support.outside.model.mix import REGISTERED, Mix
from tests.support.outside.model.rows import note_in_the_book, rows_of
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.outside.proxy import Proxy
from tests.support.outside.registering import done, told

CONNECTIONS = 12
DOORS = ("--door", "postback", "--door", "batch", "--door", "pixel")


class Round(NamedTuple):
    """One round: how many seconds, what breaks, whether an operator is at work, what is sent and what is known."""

    seconds: float
    faults: Sequence[str]
    commands: bool
    mix: Mix
    history: History


class Trial:
    """What both engines have: hosts, senders with keys, and rounds. `seed` repeats the choices, not the races."""

    def __init__(self, directory: Path, url: str, seed: int, rate: float) -> None:
        self.url = url
        self.hosts: list[Host] = []
        self.happened: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.figures: Counter[str] = Counter()
        self._directory = directory
        self._rate = rate
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable mix, not a secret
        self._tags = 0
        self._rounds = 0
        self.commands = Commands(directory, url, self._chance)
        self._stack = ExitStack()

    @property
    def kinds(self) -> list[str]:
        """What may break."""
        raise NotImplementedError

    def _register(self) -> None:
        migrate(self._directory, self.url)
        self._keys = {}
        for sender in REGISTERED:
            given = ("--preset", sender.preset, "--duplicates", sender.policy)
            done(self._directory, self.url, "senders", "add", sender.name, *given)
            self._keys[sender.name] = str(told(self._directory, self.url, "keys", "create", sender.name, *DOORS)["key"])

    def _sql(self, statement: str) -> Sequence[SqlRow]:
        if self.url.startswith("sqlite"):
            return read_database(Path(self.url.removeprefix("sqlite:///")), statement)
        return run_sql(self.url, statement)

    def __exit__(self, *_: object) -> None:
        """End whatever is left."""
        for host in self.hosts:
            host.kill()
        self._stack.close()

    def figures_told(self) -> str:
        """Return what happened, in one line."""
        counts = (self.figures, self.answers, self.happened, self.commands.codes)
        return "; ".join(", ".join(f"{name} {count}" for name, count in sorted(one.items())) for one in counts if one)

    async def round(self, seconds: float, faults: Sequence[str], *, commands: bool = True) -> list[Difference]:
        """Let so many seconds pass, come to rest, and return what the model cannot explain."""
        self._rounds += 1
        mix = Mix(self._chance, f"r{self._rounds:04}k", f"odd{self._rounds}", self._tags)
        one = Round(seconds, faults, commands, mix, History())
        clients = Clients(self.hosts, self._keys, mix, one.history)
        await self._live(one, clients)
        self._tags = mix.number
        self.answers += clients.answers
        return await asyncio.to_thread(self._differences, one.history, mix.prefix)

    def _differences(self, history: History, prefix: str) -> list[Difference]:
        rows = rows_of(self._sql, prefix)
        note_in_the_book(self._sql, history.erasures)
        self.figures.update(operations=len(history.operations), rows=len(rows), erasures=len(history.erasures))
        return Check(history, rows).differences()

    def at_rest(self) -> dict[str, object]:
        """Wait until nothing is on its way; return what is wrong then with books and in doctor's eyes."""
        wrong: dict[str, object] = {}
        for host in self.hosts:
            host.revive()
        for host in self.hosts:
            host.settle()
        for host in self.hosts:
            wrong.update(host.drift())
            examined = host.examine()
            bad = examined.named("wrong")
            wrong.update({f"{host.name} doctor {name}": examined.check(name)[1] for name in bad})
        return wrong

    async def _live(self, one: Round, clients: Clients) -> None:
        raise NotImplementedError


class OnPostgres(Trial):
    """Two hosts, of two workers and of one, each with its own line to a server of this trial's own."""

    def __init__(self, directory: Path, server: PostgresServer, seed: int, rate: float = 200.0) -> None:
        self._server = server
        self._database = server.new_database()
        super().__init__(directory, server.url(self._database), seed, rate)

    @property
    def kinds(self) -> list[str]:
        """What may break."""
        return list(self._faults.kinds)

    def __enter__(self) -> Self:
        """Register the senders and start the hosts."""
        self._register()
        self._lines = [self._stack.enter_context(Proxy(("127.0.0.1", self._server.port))) for _ in range(2)]
        for name, workers, line in zip(("east", "west"), (2, 1), self._lines, strict=True):
            url = f"postgresql://postgres@127.0.0.1:{line.address[1]}/{self._database}"
            host = Host(name, self._directory / name, {"DATABASE_URL": url, "WORKERS": str(workers)})
            self.hosts.append(host)
            host.start()
        self._faults = Faults(self.hosts, self._server, self._lines, self._database, self._chance)
        self.happened = self._faults.happened
        return self

    async def _live(self, one: Round, clients: Clients) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.press(CONNECTIONS, self._rate))
            if one.faults:
                group.create_task(self._faults.go_on(over, one.faults))
            if one.commands:
                group.create_task(self._operate(over, one.mix, one.history))
            await asyncio.sleep(one.seconds)
            over.set()
            clients.end()
        await asyncio.to_thread(self._faults.mend)
        for host in self.hosts:
            await asyncio.to_thread(host.settle)

    async def _operate(self, over: asyncio.Event, mix: Mix, history: History) -> None:
        """Import and erase beside the traffic, and replay twice."""
        work = 0
        while not over.is_set():
            work += 1
            if work % 6 == 4:
                await self.commands.replay(history, self._sql_in_time, mix)
            elif work % 3 == 1:
                await self.commands.import_file(history, mix)
            else:
                await asyncio.gather(*(self.commands.erase(history, mix.click_id()) for _ in range(3)))

    def _sql_in_time(self, statement: str) -> Sequence[SqlRow]:
        """Read the database, when it is there."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._sql(statement)
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


class OnSqlite(Trial):
    """One host. The file has one writer: imports, erasures and replays have their turn while it is stopped."""

    def __init__(self, directory: Path, seed: int, rate: float = 200.0) -> None:
        super().__init__(directory, f"sqlite:///{directory / 'p.db'}", seed, rate)

    @property
    def kinds(self) -> list[str]:
        """What may break."""
        return ["host killed"]

    def __enter__(self) -> Self:
        """Register the senders and start the host."""
        self._register()
        self.hosts.append(Host("alone", self._directory / "alone", {}))
        self.hosts[0].start()
        return self

    async def _live(self, one: Round, clients: Clients) -> None:
        end = time.monotonic() + one.seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.press(CONNECTIONS, self._rate))
            while time.monotonic() < end:
                await self._interrupt(one)
            clients.end()

    async def _interrupt(self, one: Round) -> None:
        """Serve for some seconds, end, do what needs the file alone, and serve again."""
        (host,) = self.hosts
        await asyncio.sleep(self._chance.uniform(2, 5))
        if not one.faults and not one.commands:
            return
        killed = bool(one.faults) and self._chance.random() < 0.5
        self.happened["host killed" if killed else "host stopped"] += 1
        await asyncio.to_thread(host.kill if killed else host.stop)
        if one.commands and self._chance.random() < 0.5:
            await self._operate(one.mix, one.history)
        await asyncio.to_thread(host.start)

    async def _operate(self, mix: Mix, history: History) -> None:
        work = self._chance.random()
        if work < 0.5:
            await self.commands.import_file(history, mix)
        if 0.3 < work < 0.7:
            await self.commands.erase(history, mix.click_id())
        if work > 0.7:
            await self.commands.replay(history, self._sql, mix)
