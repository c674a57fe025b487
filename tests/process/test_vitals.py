"""What the process measures of itself: readiness by a real commit, the event loop's lag, its space, its own log."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageError
from service.process.vitals import Intervals, Vitals
from service.storage.sqlite.ledger import SqliteLedger
from service.storage.sqlite.space import measure_space
from service.telemetry.certificate import certificate_expiry
from service.telemetry.log.rate_limit import BURST
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.telemetry.metrics.counts import Space
from service.writing.committing import OnThread
from service.writing.readiness import Readiness
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import PATIENCE, FakeStore, KeptLines, in_time, kept_log, samples

pytestmark = pytest.mark.anyio

FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
OFTEN = 0.01  # seconds between two looks, in a test
LONG = 3600.0  # longer than any test: within it, no look comes
HERE = Space(database=4096, wal=8192, free=1_000_000, capacity=2_000_000)


async def until(come_about: Callable[[], bool]) -> None:
    """Wait for what must come about."""
    async with asyncio.timeout(PATIENCE):
        while not come_about():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(OFTEN)


@asynccontextmanager
async def watched(store: FakeStore, seconds: float) -> AsyncIterator[tuple[Metrics, Writer]]:
    """Keep the gauge of readiness true over a store."""
    metrics = Metrics()
    writer = Writer(OnThread(store), metrics)
    writer.start()
    watch = asyncio.create_task(Readiness(writer, metrics).watch(seconds))
    try:
        yield metrics, writer
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await in_time(writer.close())


async def test_when_nobody_sends_a_probe_says_that_storage_is_well() -> None:
    store = FakeStore()
    async with watched(store, OFTEN) as (metrics, _):
        await until(lambda: metrics.ready)
    assert store.sizes == [1]  # by a commit, and not more than one a second


async def test_storage_that_fails_is_not_ready_and_comes_back_by_itself() -> None:
    async with watched(FakeStore(FULL), OFTEN) as (metrics, _):
        metrics.ready = True
        await until(lambda: not metrics.ready)
        await until(lambda: metrics.ready)


@pytest.mark.proof
async def test_a_commit_of_a_postback_is_proof_enough() -> None:
    store = FakeStore()
    async with watched(store, 3.0) as (metrics, writer):
        async with asyncio.timeout(PATIENCE):
            while not metrics.ready:
                await writer.write(NOBODY, builders.postback())
    assert {type(entry) for batch in store.batches for entry in batch} == {Postback}


@asynccontextmanager
async def vitals(
    measure: Callable[[], Space] = lambda: HERE,
) -> AsyncIterator[tuple[Metrics, KeptLines]]:
    """Measure often, but leave readiness alone."""
    metrics, lines = Metrics(), KeptLines()
    writer = Writer(OnThread(FakeStore()), metrics)
    log = kept_log(lines, metrics)
    intervals = Intervals(lag=OFTEN, space=OFTEN, log=OFTEN)
    for _ in range(int(BURST) + 300):
        log.write("warning", {**log.head("postback"), "outcome": "conflict"})
    async with Vitals(metrics, log, Readiness(writer, metrics), measure, intervals).running():
        yield metrics, lines


async def test_an_event_loop_that_is_held_up_shows_how_long() -> None:
    async with vitals() as (metrics, _):
        await asyncio.sleep(2 * OFTEN)
        time.sleep(0.3)  # noqa: ASYNC251 - the mistake that the metric is for
        await asyncio.sleep(2 * OFTEN)
        (seconds,) = samples(metrics, "postback_event_loop_lag_seconds_sum").values()
        buckets = samples(metrics, "postback_event_loop_lag_seconds_bucket", zeros=True)
    assert seconds >= 0.28
    assert buckets["+Inf",] - buckets["0.25",] >= 1


async def test_space_is_known_from_the_start_and_measured_again() -> None:
    measured = [HERE]
    async with vitals(lambda: measured[-1]) as (metrics, _):
        files = samples(metrics, "postback_storage_file_bytes")
        assert files == {("database",): 4096.0, ("wal",): 8192.0}
        assert samples(metrics, "postback_storage_free_bytes") == {(): 1_000_000.0}
        assert samples(metrics, "postback_storage_capacity_bytes") == {(): 2_000_000.0}
        measured.append(HERE._replace(free=5))
        await until(lambda: metrics.space.free == 5)


async def test_a_measurement_that_hangs_holds_up_nobody() -> None:
    hanging, first = threading.Event(), iter([HERE])

    def measure() -> Space:
        for space in first:
            return space
        hanging.wait(PATIENCE)
        return HERE

    async with asyncio.timeout(PATIENCE / 2):
        async with vitals(measure) as (metrics, _):
            await until(lambda: bool(samples(metrics, "postback_event_loop_lag_seconds_count").get((), 0)))
    hanging.set()


async def test_what_the_log_left_out_is_told_while_it_happens() -> None:
    """How much it was depends on how long the flood took: the metric knows."""
    async with vitals() as (metrics, lines):
        await until(lambda: bool(lines.events("log_rate_limited")))
    told = lines.events("log_rate_limited")
    assert {(line["of_event"], line["outcome"]) for line in told} == {("postback", "conflict")}
    (counted,) = samples(metrics, "postback_log_rate_limited_total").values()
    assert 0 < counted == sum(int(str(line["lines"])) for line in told)


def test_the_space_of_a_real_database(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.commit([builders.postback()])
    space = measure_space(path)
    assert (space.database, space.wal) == (path.stat().st_size, path.with_name("p.db-wal").stat().st_size)
    assert min(space) > 0
    assert space.free < space.capacity
    ledger.close()


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert measure_space(tmp_path / "p.db")._replace(free=0, capacity=0) == Space()
    assert measure_space(tmp_path / "no" / "p.db") == Space()


def test_the_end_of_the_first_certificate_of_a_file(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    chain = b""
    for days in (30, 300):
        made = x509.CertificateBuilder(name, name, key.public_key(), days, start, start + timedelta(days))
        chain += made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path = tmp_path / "chain.pem"
    path.write_bytes(chain)
    assert certificate_expiry(path) == (start + timedelta(30)).timestamp()
    path.write_text("no certificate")
    with pytest.raises(ValueError, match="PEM"):
        certificate_expiry(path)
