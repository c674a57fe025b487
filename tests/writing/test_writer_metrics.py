"""The writer's metrics: what waits, each commit with its rows and seconds, each failure by its class."""

import asyncio

import pytest

from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from tests.support import builders
from tests.support.fakes import FakeStore, in_time, samples, ticking
from tests.support.writers import FULL, entries, fates, write_apart, writing

pytestmark = pytest.mark.anyio


async def test_the_metrics_show_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, store, metrics = asyncio.get_running_loop(), FakeStore(), Metrics()
    store.gate.clear()
    async with writing(store, metrics, capacity=7, clock=lambda: 5000.0) as writer:
        monkeypatch.setattr(loop, "time", lambda: 100.0)
        futures = await write_apart(writer, entries(1))
        monkeypatch.setattr(loop, "time", lambda: 101.0)
        futures += await write_apart(writer, entries(4))
        assert samples(metrics, "postback_queue_depth") == {(): 3.0}
        assert samples(metrics, "postback_queue_capacity") == {(): 7.0}
        assert samples(metrics, "postback_oldest_queued_timestamp_seconds") == {(): 4999.0}
        store.gate.set()
        assert await fates(futures) == ["stored"] * 5
        assert samples(metrics, "postback_queue_depth") == {}
        assert samples(metrics, "postback_oldest_queued_timestamp_seconds") == {}


async def test_the_metrics_count_each_commit_with_its_rows_and_seconds() -> None:
    metrics = Metrics()
    async with writing(FakeStore(), metrics, clock=ticking(10.0, 10.25, 20.0, 20.5)) as writer:
        written = await in_time(asyncio.gather(*[writer.write(NOBODY, postback) for postback in entries(3)]))
        assert [one.commit_seconds for one in written] == [0.25] * 3
        assert (await in_time(writer.write(NOBODY, builders.postback()))).commit_seconds == 0.5
    assert samples(metrics, "postback_commit_rows_sum") == {(): 4.0}
    assert samples(metrics, "postback_commit_rows_count") == {(): 2.0}
    assert samples(metrics, "postback_commit_duration_seconds_sum") == {(): 0.75}
    assert samples(metrics, "postback_commit_duration_seconds_bucket")["0.25",] == 1.0


async def test_the_metrics_count_a_failed_commit_by_its_class_and_not_as_a_commit() -> None:
    metrics = Metrics()
    async with writing(FakeStore(FULL), metrics) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["SQLITE_FULL"]
    assert samples(metrics, "postback_storage_errors_total") == {("commit", "SQLITE_FULL"): 1.0}
    assert samples(metrics, "postback_commit_rows_count") == {}
