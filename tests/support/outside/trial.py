"""Owns a trial: replicas on PostgreSQL under steady load from the outside ledger while something breaks.

Afterwards nothing that was acknowledged is missing, nothing is there twice, every answer came in time and was one that
a sender can live with, and what the replicas counted is what they answered and what the database holds.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.support.outside.harness import Row, Service, wait_for
from tests.support.outside.ledger import Ledger, run
from tests.support.outside.postgres import run_sql
from tests.support.outside.wire import Answer, HungUp, Line

ANSWER_SECONDS = 2.0  # Branch hangs up then
SPOOLS = ("off", "on")
ACCEPTED_WITH_SPOOL = 0.999
DRAIN_SECONDS = 120.0
_SENDERS = 6  # for each replica
_PAUSE_SECONDS = 0.01
_REFUSED_SECONDS = 0.1
_KEPT = """
    SELECT request_id FROM conversion UNION ALL SELECT request_id FROM duplicate UNION ALL
    SELECT request_id FROM rejected_postback
"""


class Replica(Service):
    """The service on PostgreSQL, in a directory of its own; `past` is the way to the database past a proxy."""

    def __init__(
        self, directory: Path, url: str, settings: Mapping[str, str] | None = None, *, past: str | None = None
    ) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(directory, {"DATABASE_URL": url, "MIGRATE": "true", "SPOOL": "off", **(settings or {})})
        self._past = past or url

    def sql(self, statement: str, *parameters: str) -> list[Row]:
        """Read the database on a connection of the test's own."""
        return run_sql(self._past, statement, *parameters)


class Suffered(NamedTuple):
    """What one fault did to those who send."""

    answers: Counter[str]
    slowest: float
    recovered: float

    @property
    def accepted(self) -> float:
        """The share of 200s."""
        refused = self.answers["storage_unavailable"] + self.answers["overloaded"]
        return 1 - refused / self.answers.total()

    def __str__(self) -> str:
        """Say it in words."""
        words = ", ".join(f"{count} {word}" for word, count in self.answers.most_common())
        return f"{words}; slowest {self.slowest:.2f} s; whole again {self.recovered:.1f} s after the fault's end"


class Trial:
    """One ledger for all that happens to these replicas; whatever breaks, they are not restarted."""

    def __init__(self, database: str, replicas: Sequence[Replica]) -> None:
        self.database = database
        self.ledger = Ledger(database, seed=11)
        self.replicas = replicas
        self.hung_up = 0  # requests whose sender did not wait for the answer
        self._promised: set[str] = set()
        self._refused: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._answers: Counter[str] = Counter()
        self._unfit: Counter[str] = Counter()
        self._slowest = 0.0
        self._refused_at = 0.0

    @property
    def stored(self) -> int:
        """How many conversions were acknowledged as stored."""
        return self.ledger.answers["stored"]

    def suffer(self, fault: Callable[[], None], *, after: float = 2.5, spool: str = "off") -> Suffered:
        """Send, let the fault happen to its end, go on until `after` seconds later, and check each answer."""
        self._begin()
        ended = run(self._send_through(fault, after))
        assert not self._unfit, self._unfit
        assert self._slowest <= ANSWER_SECONDS
        assert self._refused_at < ended + after - 1, "not whole again in time"
        suffered = Suffered(self._answers, self._slowest, max(0.0, self._refused_at - ended))
        assert spool == "off" or suffered.accepted >= ACCEPTED_WITH_SPOOL
        return suffered

    async def _send_through(self, fault: Callable[[], None], after: float) -> float:
        async with self.sending():
            await asyncio.sleep(0.5)
            await asyncio.to_thread(fault)
            ended = time.monotonic()
            await asyncio.sleep(after)
        return ended

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Keep all senders at work; when the context ends, each waits for its last answer."""
        done = asyncio.Event()
        async with asyncio.TaskGroup() as senders:
            for replica in self.replicas:
                for _ in range(_SENDERS):
                    senders.create_task(self._send(replica, done))
            yield
            done.set()

    async def _send(self, replica: Replica, done: asyncio.Event) -> None:
        line = await Line.connect(replica.public)
        try:
            while not done.is_set():
                answer = await self._deliver(line, self.ledger.next_id())
                await asyncio.sleep(_PAUSE_SECONDS if answer.status == 200 else _REFUSED_SECONDS)
        except (HungUp, ConnectionError) as error:
            self._unfit[repr(error)] += 1
        finally:
            line.close()

    async def _deliver(self, line: Line, click_id: str) -> Answer:
        began = time.monotonic()
        answer = await self.ledger.deliver(line, click_id)
        self._slowest = max(self._slowest, time.monotonic() - began)
        self._answers[answer.outcome or str(answer.status)] += 1
        if answer.status == 200:
            self._promised.add(answer.request_id)
            return answer
        self._refused.add(answer.request_id)
        self._refused_at = time.monotonic()
        if answer.status != 503 or "retry-after" not in answer.headers:
            self._unfit[f"{answer.status} {dict(answer.headers)}"] += 1
        return answer

    def check(self) -> float:
        """Assert that the books are right; return after how many seconds all that was promised was there."""
        began = time.monotonic()
        with suppress(TimeoutError):
            wait_for(self._all_there, DRAIN_SECONDS, every=0.1)
        waited = time.monotonic() - began
        self.ledger.check_against(self.replicas[0])
        run(self._retry_unknown())
        assert self.ledger.check_against(self.replicas[0]) == self.ledger.sent
        self._check_request_ids()
        self._check_metrics()
        return waited

    def _all_there(self) -> bool:
        with suppress(psycopg.OperationalError):  # after a black hole, connections that came in vain take all places
            return not self.missing()
        return False

    def missing(self) -> set[str]:
        """Return the request ids of what was promised and is not in the database."""
        return self._promised - {str(row[0]) for row in self.replicas[0].sql(_KEPT)}

    async def _retry_unknown(self) -> None:
        line = await Line.connect(self.replicas[0].public)
        for click_id in self.ledger.unknown:
            await self._deliver(line, click_id)
        line.close()
        assert self.ledger.unknown == []

    def _check_request_ids(self) -> None:
        """Each promised request is one row; the others were answered 503 or not at all, so that nobody could know."""
        kept = [str(row[0]) for row in self.replicas[0].sql(_KEPT)]
        assert len(set(kept)) == len(kept), "one request left two rows"
        assert self._promised <= set(kept), "promised and not kept"
        assert len(set(kept) - self._promised - self._refused) <= self.hung_up, "kept and never answered"

    def _check_metrics(self) -> None:
        counted: defaultdict[str, float] = defaultdict(float)
        for replica in self.replicas:
            metrics = replica.metrics()
            drift = [sample.value for sample in metrics if sample.name == "postback_conservation_drift"]
            assert set(drift) == {0.0}, "conservation drifts"
            for word, count in metrics.by_label("postback_received_total", "outcome").items():
                counted[word] += count
        unheard = Counter(counted)
        unheard.subtract(self.ledger.answers)
        assert min(unheard.values()) >= 0, "an answer was not counted"
        assert unheard.total() <= self.hung_up, "counted and never answered"
