"""Law 5 as numbers: both drifts are 0 at every moment whatever happens, and not 0 as soon as somebody lies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.auth.authenticator import Authenticate
from service.core.judging import Part
from service.core.outcome import Outcome
from service.core.postback import RawPostback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Entry, Verdict
from service.intake import Intake
from service.storage.ledger import Committed
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import Account
from service.telemetry.metrics.books import Books as Sums
from service.telemetry.record import LiveRecord
from service.writing.committing import OnThread, Store
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import FakeStore, KeptLines, LoopClock, from_ezmob, in_time, kept_log, samples

pytestmark = pytest.mark.anyio

DEADLINE = 60.0
FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
BALANCED = {("arrivals",): 0.0, ("receipts",): 0.0, ("spool",): 0.0}


@dataclass
class Books:
    """An intake and its sums."""

    intake: Intake
    metrics: Metrics

    def start(self, *queries: str) -> list[asyncio.Task[Verdict]]:
        """Let postbacks come in at once."""
        return [asyncio.create_task(self.intake.receive(builders.raw(query))) for query in queries]

    async def outcomes(self, *queries: str) -> list[str]:
        """Let postbacks come in, and say what became of each."""
        return [verdict.outcome.value for verdict in await in_time(asyncio.gather(*self.start(*queries)))]

    @property
    def drift(self) -> dict[tuple[str, ...], float]:
        """Return both sums."""
        return samples(self.metrics, "postback_conservation_drift", zeros=True)

    def counted(self, name: str) -> float:
        """Return the total of a metric."""
        return sum(samples(self.metrics, f"postback_{name}").values())


@asynccontextmanager
async def keeping_books(
    store: Store, authenticate: Authenticate = from_ezmob, record: type[LiveRecord] = LiveRecord
) -> AsyncIterator[Books]:
    """Run an intake on a store."""
    metrics = Metrics()
    writer = Writer(OnThread(store), metrics, deadline=DEADLINE)
    writer.start()
    try:
        yield Books(Intake(authenticate, writer, record(metrics, kept_log(KeptLines(), metrics))), metrics)
    finally:
        if isinstance(store, FakeStore):
            store.gate.set()
        await in_time(writer.close())


async def test_the_books_balance_on_real_storage_with_every_kind_of_row(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "postback.db")
    ledger.open()
    async with keeping_books(ledger) as books:
        became = await books.outcomes("c=a&value=1", "c=a&value=1", "c=a&value=2", "c=a", "c=b&value=1")
        assert sorted(became) == ["conflict", "duplicate", "missing_value", "stored", "stored"]
        written = samples(books.metrics, "postback_rows_written_total")
        assert written == {("conversion",): 2.0, ("duplicate",): 1.0, ("rejected_postback",): 2.0}
        assert books.drift == BALANCED
    ledger.close()


async def test_the_books_balance_while_postbacks_wait_for_their_commit() -> None:
    store = FakeStore()
    store.gate.clear()
    async with keeping_books(store) as books:
        tasks = books.start("c=a&value=1", "c=b&value=1")
        await asyncio.to_thread(store.begun.acquire)
        assert (books.counted("arrived_total"), books.counted("in_progress")) == (2.0, 2.0)
        assert (books.counted("received_total"), books.counted("rows_written_total")) == (0.0, 0.0)
        assert books.drift == BALANCED
        store.gate.set()
        while not all(task.done() for task in tasks):
            assert books.drift == BALANCED  # in every turn of the loop, also between the commit and the outcome
            await asyncio.sleep(0)
        assert books.counted("in_progress") == 0
        assert books.drift == BALANCED


async def test_a_row_that_became_durable_after_its_503_is_a_late_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with keeping_books(store) as books:
        tasks = books.start("c=a&value=1")
        await asyncio.to_thread(store.begun.acquire)
        clock.move(DEADLINE + 1)
        (verdict,) = await in_time(asyncio.gather(*tasks))
        assert verdict.outcome is Outcome.STORAGE_UNAVAILABLE
        assert books.drift == BALANCED
        store.gate.set()
        async with asyncio.timeout(10):
            while not books.counted("late_commits_total"):
                assert books.drift == BALANCED
                await asyncio.sleep(0)
        assert books.counted("rows_written_total") == books.counted("late_commits_total") == 1
        assert books.drift == BALANCED


async def test_a_sender_cut_off_by_the_stopping_server_has_an_outcome_too() -> None:
    store = FakeStore()
    store.gate.clear()
    async with keeping_books(store) as books:
        (task,) = books.start("c=a&value=1")
        await asyncio.to_thread(store.begun.acquire)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert samples(books.metrics, "postback_received_total") == {("postback", "internal_error"): 1.0}
        assert books.drift == BALANCED
        store.gate.set()
    assert books.counted("late_commits_total") == 1
    assert books.drift == BALANCED


@pytest.mark.parametrize(
    "failure", [FULL, StorageBroken("SQLITE_IOERR: disk", ErrorKind.SQLITE_IOERR), LookupError("odd")]
)
async def test_a_failed_commit_leaves_the_books_balanced(failure: Exception) -> None:
    async with keeping_books(FakeStore(failure)) as books:
        assert set(await books.outcomes("c=a&value=1", "c=b&value=1")) <= {"storage_unavailable", "internal_error"}
        assert books.counted("rows_written_total") == 0
        assert books.drift == BALANCED


async def test_rows_that_were_durable_before_the_rest_of_their_batch_failed_are_counted() -> None:
    half = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL, rows={"conversion": 1})
    async with keeping_books(FakeStore(half)) as books:
        assert await books.outcomes("c=a&value=1", "c=b&value=1") == ["storage_unavailable"] * 2
        assert (books.counted("rows_written_total"), books.counted("late_commits_total")) == (1.0, 1.0)
        assert books.drift == BALANCED


async def test_an_unexpected_error_is_an_outcome_like_the_others() -> None:
    def failing(_raw: RawPostback) -> object:
        raise LookupError("odd")

    async with keeping_books(FakeStore(), failing) as books:  # type: ignore[arg-type]  # it never returns
        assert await books.outcomes("c=a&value=1") == ["internal_error"]
        assert books.drift == BALANCED


class Forgetful(LiveRecord):
    """A record that is written by nobody."""

    def tell(self, *_: object, **__: object) -> None:
        """Forget it."""


async def test_a_record_that_tells_nothing_leaves_nothing_open() -> None:
    """What was durable and untold stayed so for ever, and the postback in no count, until an Account settled both."""
    async with keeping_books(FakeStore(), record=Forgetful) as books:
        await books.outcomes("c=a&value=1")
        assert samples(books.metrics, "postback_received_total") == {("postback", "internal_error"): 1.0}
        assert (books.counted("late_commits_total"), books.metrics.books.untold) == (1.0, 0)
        assert books.drift == BALANCED


async def test_a_sender_that_is_cut_off_between_its_commit_and_its_answer_is_told_nothing_and_its_row_is_late() -> None:
    store = FakeStore()
    store.gate.clear()
    async with keeping_books(store) as books:
        (task,) = books.start("c=a&value=1")
        await asyncio.to_thread(store.begun.acquire)
        store.gate.set()
        while not books.metrics.books.untold:
            assert books.drift == BALANCED
            await asyncio.sleep(0)
        task.cancel()  # it has its verdict, and did not wake yet
        with pytest.raises(asyncio.CancelledError):
            await in_time(task)
        assert (books.counted("late_commits_total"), books.metrics.books.untold) == (1.0, 0)
        assert books.drift == BALANCED


def test_whatever_is_left_open_at_the_end_is_settled() -> None:
    books = Sums()
    arrival = Account(books, "postback", 3)
    arrival.durable(2)
    assert (books.in_progress, books.untold) == (3, 2)
    arrival.tell(Outcome.STORED, "ezmob")
    arrival.end()
    arrival.durable(1)  # by a writer that was given up
    assert (books.in_progress, books.untold, books.late) == (0, 0, 2)
    assert books.received == {
        ("postback", Outcome.STORED, "ezmob"): 1,
        ("postback", Outcome.INTERNAL_ERROR, "unknown"): 2,
    }
    with books.move() as move:
        move.durable(2)
        move.left({"stored": 1}, removed=1, inherited=0)
    assert (books.untold, books.late) == (0, 3)
    books.rows.update(conversion=5)
    assert set(books.drift.values()) == {0}


class LyingStore(FakeStore):
    """Says `stored` for every entry, and writes all but the last."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Lie about one row."""
        verdicts, rows, *_ = super().commit(entries, parts)
        return Committed(verdicts, {"conversion": rows["conversion"] - 1})


async def test_a_receipt_without_a_row_shows() -> None:
    async with keeping_books(LyingStore()) as books:
        assert await books.outcomes("c=a&value=1", "c=b&value=1") == ["stored", "stored"]
        assert books.drift == {**BALANCED, ("receipts",): 1.0}


async def test_a_postback_without_an_outcome_shows() -> None:
    async with keeping_books(FakeStore()) as books:
        await books.outcomes("c=a&value=1")
        books.metrics.books.received.clear()
        assert books.drift == {**BALANCED, ("arrivals",): 1.0, ("receipts",): -1.0}


async def test_a_postback_counted_twice_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = Account.tell
    monkeypatch.setattr(Account, "tell", lambda *what, **how: (tell(*what, **how), tell(*what, **how)))
    async with keeping_books(FakeStore()) as books:
        await books.outcomes("c=a&value=1")
        assert books.drift == {**BALANCED, ("arrivals",): -1.0, ("receipts",): 1.0}
