"""What machines ask: readiness is proven by a commit and says why not, and the metrics page speaks both dialects."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing

import pytest
from httpx2 import AsyncClient
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.operator.probes import MetricsPage, ReadinessPage
from service.operator.routes import operator_routes
from service.telemetry.metrics import Metrics
from service.web.routing import listener
from service.writing.committing import OnThread
from service.writing.readiness import Readiness
from service.writing.writer import Writer
from tests.support.fakes import PATIENCE, FakeStore, KeptLines, in_time, kept_log
from tests.support.served import Served, client

pytestmark = pytest.mark.anyio

FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
BROKEN = StorageBroken("SQLITE_IOERR: disk I/O error", ErrorKind.SQLITE_IOERR)
RECEIVED = "postback_received_total"
READY = (200, {"status": "ready"})


class Clock:
    """What readiness takes for the time."""

    now = 0.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@asynccontextmanager
async def operator_listener(
    store: FakeStore, capacity: int = 10, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[AsyncClient]:
    """Serve the operator's routes over a store."""
    metrics = Metrics()
    writer = Writer(OnThread(store), metrics, capacity=capacity)
    writer.start()
    application = listener(
        operator_routes(ReadinessPage(Readiness(writer, metrics, clock=clock)), MetricsPage(metrics)),
        metrics,
        kept_log(KeptLines(), metrics),
    )
    try:
        async with client(application) as asking:
            yield asking
    finally:
        store.gate.set()
        await in_time(writer.close())


async def readyz(asking: AsyncClient) -> tuple[int, dict[str, str]]:
    answer = await in_time(asking.get("/readyz"))
    return answer.status_code, answer.json()


def unready(reason: str) -> tuple[int, dict[str, str]]:
    return 503, {"status": "not ready", "reason": reason}


async def test_a_service_that_can_store_is_ready_and_says_so_without_storing_a_postback(served: Served) -> None:
    assert await readyz(served.operator) == READY
    assert len(served.rows("SELECT probed_at FROM write_probe")) == 1
    served.assert_untouched()


async def test_a_database_that_somebody_else_locks_is_the_reason(served: Served) -> None:
    with closing(sqlite3.connect(served.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await readyz(served.operator) == unready("SQLITE_BUSY: database is locked")
        other.execute("ROLLBACK")


async def test_a_database_that_was_taken_away_is_the_reason_and_stops_the_process(served: Served) -> None:
    served.path.rename(served.path.with_name("elsewhere.db"))
    status, answer = await readyz(served.operator)
    assert (status, answer["status"]) == (503, "not ready")
    assert answer["reason"]
    assert served.storage_broken.is_set()


@pytest.mark.parametrize("failure", [FULL, BROKEN])
async def test_a_failed_commit_is_the_reason(failure: StorageError) -> None:
    async with operator_listener(FakeStore(failure)) as asking:
        assert await readyz(asking) == unready(str(failure))


async def test_a_full_queue_is_the_reason() -> None:
    async with operator_listener(FakeStore(), capacity=0) as asking:
        assert await readyz(asking) == unready("0 postbacks are waiting already")


async def test_readiness_comes_back_with_the_storage() -> None:
    clock = Clock()
    async with operator_listener(FakeStore(FULL), clock=clock) as asking:
        assert await readyz(asking) == unready(str(FULL))
        clock.now += 1
        assert await readyz(asking) == READY


async def test_storage_is_probed_once_a_second_at_most_however_often_it_is_asked() -> None:
    clock, store = Clock(), FakeStore(FULL)
    async with operator_listener(store, clock=clock) as asking:
        for _ in range(5):
            assert await readyz(asking) == unready(str(FULL))
        clock.now += 0.999
        assert await readyz(asking) == unready(str(FULL))
        assert store.sizes == [1]
        clock.now += 0.001
        assert await readyz(asking) == READY
        assert store.sizes == [1, 1]


async def test_those_who_ask_during_a_probe_share_its_answer() -> None:
    store = FakeStore()
    store.gate.clear()
    async with operator_listener(store) as asking:
        answers = [asyncio.create_task(readyz(asking)) for _ in range(5)]
        await asyncio.to_thread(store.begun.acquire)
        store.gate.set()
        assert await asyncio.gather(*answers) == [READY] * 5
    assert store.sizes == [1]


async def test_liveness_does_not_depend_on_storage() -> None:
    async with operator_listener(FakeStore(BROKEN)) as asking:
        assert (await readyz(asking))[0] == 503
        assert (await asking.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("", "text/plain", prometheus),
        ("*/*", "text/plain", prometheus),
        ("text/plain;version=0.0.4", "text/plain", prometheus),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text", openmetrics),
    ],
)
async def test_the_metrics_page_speaks_the_dialect_it_is_asked_for(
    served: Served, accept: str, content_type: str, parse: Callable[[str], Iterable[Metric]]
) -> None:
    await served.public.get("/postback?c=a&value=1")
    await served.public.get("/postback?c=a")
    page = await served.operator.get("/metrics", headers={"accept": accept})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, content_type)
    samples = [sample for family in parse(page.text) for sample in family.samples]
    received = [sample for sample in samples if sample.name == RECEIVED and sample.value]
    assert {it.labels["outcome"]: it.value for it in received} == {"stored": 1.0, "missing_value": 1.0}


async def test_a_scrape_that_takes_long_holds_up_no_postback(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, written = threading.Event(), threading.Event()

    def write_slowly(_families: object) -> bytes:
        writing.set()
        written.wait(PATIENCE)
        return b""

    monkeypatch.setattr("service.operator.probes.choose_encoder", lambda _accept: (write_slowly, "text/plain"))
    scrape = asyncio.create_task(served.operator.get("/metrics"))
    await asyncio.to_thread(writing.wait, PATIENCE)
    assert (await in_time(served.public.get("/postback?c=a&value=1"))).text == "Success"
    assert not scrape.done()
    written.set()
    assert (await in_time(scrape)).status_code == 200
