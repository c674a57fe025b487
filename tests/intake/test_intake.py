"""The straight line: each postback gets one outcome, and counter, canonical line and kept row all carry that word."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.auth.authenticator import Authenticate, Caller, RosterUnknown, WouldReject
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.outcome import Family, Mistake, Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback
from service.core.sender import EZMOB, Sender
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Verdict
from service.core.version import VERSION
from service.intake import GROUP_ROWS, Intake
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from service.writing.committing import OnThread, Store
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import FakeStore, KeptLines, Line, from_ezmob, in_time, kept_log, samples, ticking

pytestmark = pytest.mark.anyio

FIELDS = """
    timestamp level event request_id trace_id door method status outcome sender click_id value duration_ms commit_ms
    client_ip version
""".split()  # noqa: SIM905 - as the contract lists them

REJECTED = {
    Outcome.MISSING_CLICK_ID: builders.raw("value=1"),
    Outcome.INVALID_CLICK_ID: builders.raw("c=a+b&value=1"),
    Outcome.UNEXPANDED_MACRO: builders.raw("c={click_id}&value=1"),
    Outcome.MISSING_VALUE: builders.raw("c=a"),
    Outcome.INVALID_VALUE: builders.raw("c=a&value=1,50"),
    Outcome.INVALID_CURRENCY: builders.raw("c=a&value=1&currency=usd"),
    Outcome.INVALID_STATUS: builders.raw("c=a&value=1&conversion_status=maybe"),
    Outcome.INVALID_ENCODING: builders.raw("c=a%FF&value=1"),
    Outcome.REPEATED_PARAMETER: builders.raw("c=a&c=a&value=1"),
    Outcome.TOO_MANY_PARAMETERS: builders.raw("c=a&value=1" + "&x=1" * 63),
    Outcome.MALFORMED_BODY: builders.posted(b"{"),
    Outcome.UNSUPPORTED_MEDIA_TYPE: builders.posted(b"c=a&value=1", "text/plain"),
    Outcome.TOO_LARGE: builders.raw(f"c=a&value=1&x={'x' * 8192}"),
    Outcome.UNAUTHENTICATED: builders.raw(host=b"example.com"),
}
FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)
BROKEN = StorageBroken("SQLITE_IOERR: disk I/O error", ErrorKind.SQLITE_IOERR)


@dataclass
class Watched:
    """An intake, and what its readers see of it."""

    intake: Intake
    metrics: Metrics
    lines: KeptLines

    async def receive(self, raw: RawPostback) -> Verdict:
        """Walk the line."""
        return await in_time(self.intake.receive(raw))

    @property
    def counted(self) -> dict[tuple[str, ...], float]:
        """Return the counts that are not 0, by door and outcome."""
        return samples(self.metrics, "postback_received_total")

    def only_line(self) -> Line:
        """Return the one canonical line there is."""
        (line,) = self.lines.events()
        return line


@asynccontextmanager
async def watching(
    store: Store,
    authenticate: Authenticate = from_ezmob,
    capacity: int = 100,
    *,
    stopwatch: Callable[[], float] = time.perf_counter,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Watched]:
    """Run an intake on a store; the stopwatch measures the whole line and each commit."""
    metrics, lines = Metrics(), KeptLines()
    writer = Writer(OnThread(store, stopwatch), metrics, capacity=capacity, deadline=60.0)
    writer.start()
    try:
        record = LiveRecord(metrics, kept_log(lines, metrics), clock)
        yield Watched(Intake(authenticate, writer, record, stopwatch), metrics, lines)
    finally:
        await in_time(writer.close())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "postback.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    """Open a real ledger."""
    opened = SqliteLedger(path)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
async def watched(ledger: SqliteLedger) -> AsyncIterator[Watched]:
    """Run an intake on the real ledger."""
    async with watching(ledger) as line:
        yield line


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


async def test_an_accepted_postback_is_stored_counted_and_logged_under_one_word(watched: Watched, path: Path) -> None:
    raw = builders.raw("c=a&value=1")
    assert await watched.receive(raw) == Verdict(Outcome.STORED)
    assert watched.counted == {("postback", "stored"): 1.0}
    assert watched.only_line()["outcome"] == "stored"
    assert rows(path, "SELECT click_id, request_id FROM conversion") == [("a", raw.request_id)]


@pytest.mark.parametrize(("second", "outcome"), [("c=a&value=1.0", "duplicate"), ("c=a&value=2", "conflict")])
async def test_a_known_key_is_a_duplicate_or_a_conflict_and_the_first_value_stands(
    watched: Watched, path: Path, second: str, outcome: str
) -> None:
    await watched.receive(builders.raw("c=a&value=1"))
    assert (await watched.receive(builders.raw(second))).outcome == outcome
    assert watched.counted == {("postback", "stored"): 1.0, ("postback", outcome): 1.0}
    assert [line["outcome"] for line in watched.lines.events()] == ["stored", outcome]
    assert rows(path, "SELECT value FROM conversion") == [("1",)]


def test_every_rejection_of_this_version_is_walked() -> None:
    not_yet = {Outcome.FORBIDDEN, Outcome.RATE_LIMITED}
    not_alone = {Outcome.ILLEGAL_TRANSITION}  # needs an earlier postback: tests/storage/test_status.py
    rejected = {outcome for outcome in Outcome if outcome.family is Family.REJECTED}
    assert set(REJECTED) == rejected - not_yet - not_alone


@pytest.mark.parametrize(("outcome", "raw"), REJECTED.items(), ids=[outcome.value for outcome in REJECTED])
async def test_a_rejected_postback_is_kept_counted_and_logged_under_one_word_with_the_reason(
    watched: Watched, path: Path, outcome: Outcome, raw: RawPostback
) -> None:
    verdict = await watched.receive(raw)
    assert verdict.outcome is outcome
    assert watched.counted == {("postback", outcome.value): 1.0}
    line = watched.only_line()
    assert (line["outcome"], line["status"], line["detail"]) == (outcome.value, outcome.status, verdict.explanation)
    kept = rows(path, "SELECT outcome, detail, request_id, raw FROM rejected_postback")
    assert kept == [(outcome.value, verdict.explanation, raw.request_id, raw.as_sent())]
    assert rows(path, "SELECT * FROM conversion") == []


@pytest.mark.parametrize(
    ("raw", "sender"), [(builders.raw("c=a"), "ezmob"), (builders.raw(host=b"example.com"), "unknown")]
)
async def test_a_sender_is_named_once_it_is_known(watched: Watched, raw: RawPostback, sender: str) -> None:
    await watched.receive(raw)
    assert watched.only_line()["sender"] == sender
    assert samples(watched.metrics, "postback_sender_received_total") == {(sender, "rejected"): 1.0}


async def test_a_full_queue_is_overloaded_and_stores_nothing() -> None:
    store = FakeStore()
    async with watching(store, capacity=0) as watched:
        verdict = await watched.receive(builders.raw())
    assert verdict == Verdict(Outcome.OVERLOADED, "0 postbacks are waiting already")
    assert watched.counted == {("postback", "overloaded"): 1.0}
    assert watched.only_line()["detail"] == verdict.detail
    assert store.batches == []


@pytest.mark.parametrize("failure", [FULL, BROKEN])
@pytest.mark.parametrize("raw", [builders.raw(), builders.raw("c=a")], ids=["valid", "rejected"])
async def test_without_storage_no_postback_is_answered_as_if_it_were_kept(
    failure: StorageError, raw: RawPostback
) -> None:
    async with watching(FakeStore(failure)) as watched:
        verdict = await watched.receive(raw)
    assert verdict == Verdict(Outcome.STORAGE_UNAVAILABLE, str(failure))
    assert watched.counted == {("postback", "storage_unavailable"): 1.0}
    assert watched.only_line()["detail"] == str(failure)


async def test_broken_storage_refuses_later_postbacks_under_the_same_word() -> None:
    async with watching(FakeStore(BROKEN)) as watched:
        for _ in range(3):
            assert (await watched.receive(builders.raw())).outcome is Outcome.STORAGE_UNAVAILABLE
    assert watched.counted == {("postback", "storage_unavailable"): 3.0}
    assert len(watched.lines.events()) == 3


async def test_an_unexpected_error_is_one_internal_error_and_its_traceback_has_a_line_of_its_own() -> None:
    raw = builders.raw()
    async with watching(FakeStore(RuntimeError("a bug in storage"))) as watched:
        assert (await watched.receive(raw)).outcome is Outcome.INTERNAL_ERROR
    assert watched.counted == {("postback", "internal_error"): 1.0}
    assert watched.only_line()["detail"] == "RuntimeError: a bug in storage"
    (unexpected,) = watched.lines.events("unexpected_error")
    assert (unexpected["level"], unexpected["request_id"]) == ("error", raw.request_id)
    assert str(unexpected["exception"]).startswith("Traceback (most recent call last):")
    assert "RuntimeError: a bug in storage" in str(unexpected["exception"])


async def test_an_unexpected_error_before_anything_is_understood_is_counted_and_logged_too() -> None:
    def authenticate(_raw: RawPostback) -> None:
        raise LookupError("a bug in authentication")

    async with watching(FakeStore(), authenticate) as watched:  # type: ignore[arg-type]  # it never returns
        assert (await watched.receive(builders.raw())).outcome is Outcome.INTERNAL_ERROR
    assert watched.counted == {("postback", "internal_error"): 1.0}
    assert (watched.only_line()["sender"], watched.only_line()["click_id"]) == ("unknown", None)
    assert len(watched.lines.events("unexpected_error")) == 1


async def test_a_traceback_tells_nothing_of_what_was_sent() -> None:
    async with watching(FakeStore(RuntimeError("a bug in storage"))) as watched:
        await watched.receive(builders.posted(b'{"c":"a","value":"1","token":"s3cr3t"}'))
    assert len(watched.lines.events("unexpected_error")) == 1
    assert "s3cr3t" not in str(watched.lines.kept)


async def test_an_error_tells_nothing_of_the_text_that_it_was_about() -> None:
    async def authenticate(raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> None:
        (raw.query.decode() + "\ud800").encode()  # the error's repr holds all of it

    async with watching(FakeStore(), authenticate) as watched:  # type: ignore[arg-type]  # it never returns
        await watched.receive(builders.raw("c=a&value=1&token=s3cr3t"))
    assert str(watched.only_line()["detail"]).startswith("UnicodeEncodeError: ")
    assert "s3cr3t" not in str(watched.lines.kept)


async def test_the_canonical_line_says_exactly_what_the_contract_lists() -> None:
    raw = builders.raw("c=click-1&value=1.50", trace_id="f" * 32, client_ip="192.0.2.7")
    async with watching(FakeStore(), stopwatch=ticking(1.0, 1.125, 1.375, 1.5)) as watched:
        await watched.receive(raw)
    line = watched.only_line()
    assert line.pop("timestamp")
    assert line.pop("detail") == "1.0"  # the fake store's verdict has one
    assert line == {
        "level": "info",
        "event": "postback",
        "request_id": raw.request_id,
        "trace_id": "f" * 32,
        "door": "postback",
        "method": "GET",
        "status": 200,
        "outcome": "stored",
        "sender": "ezmob",
        "click_id": "click-1",
        "value": "1.50",
        "duration_ms": 500.0,
        "commit_ms": 250.0,
        "client_ip": "192.0.2.7",
        "version": VERSION,
    }


async def test_the_line_has_the_same_fields_for_every_fate_and_a_detail_only_where_there_is_one(
    watched: Watched,
) -> None:
    for raw in (builders.raw(), builders.raw(), builders.raw("c=a"), builders.raw(host=b"example.com")):
        await watched.receive(raw)
    stored, duplicate, rejected, unauthenticated = watched.lines.events()
    assert list(stored) == list(duplicate) == FIELDS
    assert list(rejected) == list(unauthenticated) == [*FIELDS, "detail"]


async def test_the_line_of_a_postback_that_reached_no_commit_has_no_commit_time() -> None:
    async with watching(FakeStore(), capacity=0) as watched:
        await watched.receive(builders.raw())
    assert watched.only_line()["commit_ms"] is None
    assert list(watched.only_line()) == [*FIELDS, "detail"]


@pytest.mark.parametrize(
    "raw",
    [
        builders.raw("c=a&value=1&token=s3cr3t"),
        builders.raw("c=a&value=x&token=s3cr3t"),
        builders.raw("c=a&value=1&token=s3cr3t%"),
        builders.raw("c=a&value=1&token=s3cr3t" + "&x=s3cr3t" * 64),
        builders.raw("token=s3cr3t", host=b"example.com"),
        builders.posted(b'{"c":"a","value":"1","token":"s3cr3t"}'),
        builders.posted(b'{"c":"a","value":"1","token":["s3cr3t"]}'),
        builders.posted(b'{"c":"a","value":"1","token":"s3cr3t\n"}'),
        builders.posted(b"c=a&value=1&token=s3cr3t", "text/plain"),
    ],
)
async def test_what_we_do_not_know_never_reaches_the_log(watched: Watched, raw: RawPostback) -> None:
    await watched.receive(raw)
    assert watched.only_line()["request_id"] == raw.request_id
    assert "s3cr3t" not in str(watched.lines.kept)


def batch_of(*rows: str, **changes: object) -> RawPostback:
    """Return an NDJSON batch."""
    given = {"door": "batch", "path": "/postbacks", **changes}
    return builders.posted("\n".join(rows).encode(), "application/x-ndjson", **given)


async def test_a_batch_of_several_groups_has_a_verdict_a_line_and_a_count_for_each_row_in_order(
    watched: Watched, path: Path
) -> None:
    count = 2 * GROUP_ROWS + 3
    sent = [
        json.dumps({"c": f"click-{number % (count - 1)}", "value": number % (count - 1)}) for number in range(count)
    ]
    sent[GROUP_ROWS] = "{}"
    verdicts = await in_time(watched.intake.receive_batch(batch_of(*sent)))
    assert isinstance(verdicts, list)
    words = ["stored"] * (count - 1) + ["duplicate"]
    words[GROUP_ROWS] = "missing_click_id"
    assert [verdict.outcome.value for verdict in verdicts] == words
    assert [line["outcome"] for line in watched.lines.events()] == words
    assert watched.counted == {
        ("batch", "stored"): count - 2.0,
        ("batch", "duplicate"): 1.0,
        ("batch", "missing_click_id"): 1.0,
    }
    assert rows(path, "SELECT count(*) FROM conversion") == [(count - 2,)]
    assert samples(watched.metrics, "postback_conservation_drift") == {}


async def test_the_books_balance_at_any_moment_of_a_batch(watched: Watched) -> None:
    sent = [json.dumps({"c": f"click-{number}", "value": 1}) for number in range(3 * GROUP_ROWS)]
    receiving = asyncio.create_task(watched.intake.receive_batch(batch_of(*sent)))
    turns = 0
    while not receiving.done():
        assert samples(watched.metrics, "postback_conservation_drift") == {}
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3 * GROUP_ROWS / 128
    assert watched.counted == {("batch", "stored"): 3.0 * GROUP_ROWS}


async def test_a_stranger_is_asked_once_and_his_batch_is_not_taken_apart(ledger: SqliteLedger) -> None:
    asked = []

    async def authenticate(raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        asked.append(raw)
        return await from_ezmob(raw)

    async with watching(ledger, authenticate) as watched:
        verdict = await watched.intake.receive_batch(batch_of("{}", "{}", host=b"example.com"))
        assert isinstance(verdict, Verdict)
        assert verdict.outcome is Outcome.UNAUTHENTICATED
        assert watched.counted == {("batch", "unauthenticated"): 1.0}
        await watched.intake.receive_batch(batch_of('{"c":"a","value":1}', '{"c":"b","value":1}'))
    assert len(asked) == 2


async def test_a_fault_of_ours_in_one_row_is_that_rows_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(raw: RawPostback, sender: Sender) -> Postback:
        if raw.request_id.endswith("-2"):
            raise LookupError("a bug in parsing")
        return parse(raw, sender)

    monkeypatch.setattr("service.intake.parse", faulty)
    async with watching(FakeStore()) as watched:
        verdicts = await watched.intake.receive_batch(batch_of(*(f'{{"c":"{name}","value":1}}' for name in "abc")))
    assert isinstance(verdicts, list)
    assert [verdict.outcome.value for verdict in verdicts] == ["stored", "internal_error", "stored"]
    assert [line["outcome"] for line in watched.lines.events()] == ["stored", "internal_error", "stored"]
    assert len(watched.lines.events("unexpected_error")) == 1
    assert samples(watched.metrics, "postback_conservation_drift", zeros=True)["arrivals",] == 0


async def test_a_fault_of_ours_in_one_row_stores_nothing_of_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(raw: RawPostback, sender: Sender) -> Postback:
        if raw.request_id.endswith("-2"):
            raise LookupError("a bug in parsing")
        return parse(raw, sender)

    monkeypatch.setattr("service.intake.parse", faulty)
    store = FakeStore()
    async with watching(store) as watched:
        sent = batch_of('{"c":"a","value":1}', '{"c":"b","value":1}', query=b"atomic=1")
        verdict = await watched.intake.receive_batch(sent)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is Outcome.INTERNAL_ERROR
    assert verdict.detail.startswith("row 2, so none")
    assert store.batches == []


async def test_batches_of_all_or_none_take_turns_and_single_postbacks_come_between_them() -> None:
    store = FakeStore()
    store.gate.clear()
    row = '{"c":"a","value":1}'
    async with watching(store) as watched:
        sent = [batch_of(row, row, query=b"atomic=1") for _ in range(2)]
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(watched.intake.receive_batch(one)) for one in sent]
        await asyncio.to_thread(store.begun.acquire)
        await asyncio.sleep(0.05)  # the second would be in the queue by now, if it did not wait for its turn
        waiting.append(asyncio.create_task(watched.intake.receive(builders.raw())))
        await asyncio.sleep(0)
        store.gate.set()
        await in_time(asyncio.gather(*waiting))
    assert store.sizes == [2, 1, 2]


async def test_a_failed_commit_fails_exactly_its_group() -> None:
    sent = [json.dumps({"c": f"click-{number}", "value": 1}) for number in range(2 * GROUP_ROWS)]
    async with watching(FakeStore(FULL)) as watched:
        verdicts = await watched.intake.receive_batch(batch_of(*sent))
    assert isinstance(verdicts, list)
    words = [verdict.outcome.value for verdict in verdicts]
    assert words == ["storage_unavailable"] * GROUP_ROWS + ["stored"] * GROUP_ROWS
    assert samples(watched.metrics, "postback_conservation_drift", zeros=True)["arrivals",] == 0


async def test_a_batch_given_up_by_the_stopping_server_has_an_outcome_for_each_row_it_had_begun() -> None:
    store = FakeStore()
    store.gate.clear()
    async with watching(store) as watched:
        receiving = asyncio.create_task(watched.intake.receive_batch(batch_of('{"c":"a","value":1}', "{}")))
        await asyncio.to_thread(store.begun.acquire)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert [line["outcome"] for line in watched.lines.events()] == ["internal_error"] * 2
        assert samples(watched.metrics, "postback_in_progress") == {}
        store.gate.set()


async def test_a_known_mistake_is_in_the_hint_the_line_the_row_and_the_count(watched: Watched, path: Path) -> None:
    verdict = await watched.receive(builders.raw("c=a&value=1,50"))
    assert verdict.diagnosis
    assert verdict.diagnosis.mistake is Mistake.DECIMAL_COMMA
    expected = f"'1,50' is not an amount. {verdict.diagnosis.advice}"
    assert watched.only_line()["detail"] == expected
    assert rows(path, "SELECT detail FROM rejected_postback") == [(expected,)]
    assert samples(watched.metrics, "postback_mistakes_total") == {("decimal_comma",): 1.0}


async def test_what_is_odd_is_accepted_and_in_the_line_and_the_count(watched: Watched, path: Path) -> None:
    assert await watched.receive(builders.raw("c=a&value=1&Currency=EUR")) == Verdict(Outcome.STORED)
    assert watched.only_line()["detail"] == "Write the parameter's name as currency: its case matters."
    assert samples(watched.metrics, "postback_mistakes_total") == {("wrong_case",): 1.0}
    assert rows(path, "SELECT params FROM conversion") == [('{"Currency":"EUR"}',)]


async def test_a_stranger_is_not_told_his_mistakes(watched: Watched) -> None:
    verdict = await watched.receive(builders.raw("c=a&value=1,50", host=b"example.com"))
    assert (verdict.outcome, verdict.diagnosis) == (Outcome.UNAUTHENTICATED, None)
    assert samples(watched.metrics, "postback_mistakes_total") == {}


async def test_a_test_is_stored_and_counts_nowhere_else(watched: Watched, path: Path) -> None:
    sent = ["c=a&value=1&test=1", "c=a&value=1&test=1", "c=a&value=2&test=1", "c=&value=1&test=1", "c=a&value=7"]
    became = [(await watched.receive(builders.raw(query))).outcome.value for query in sent]
    assert became == ["stored", "duplicate", "conflict", "missing_click_id", "stored"]
    assert rows(path, "SELECT is_test, value FROM conversion ORDER BY is_test") == [(0, "7"), (1, "1")]
    assert watched.counted == {("postback", "stored"): 1.0}
    assert samples(watched.metrics, "postback_arrived_total") == {("postback",): 1.0}
    assert samples(watched.metrics, "postback_sender_received_total") == {("ezmob", "accepted"): 1.0}
    assert samples(watched.metrics, "postback_test_received_total") == {
        ("stored",): 1.0,
        ("duplicate",): 1.0,
        ("conflict",): 1.0,
        ("missing_click_id",): 1.0,
    }
    assert samples(watched.metrics, "postback_conservation_drift") == {}
    assert [line.get("is_test") for line in watched.lines.events()] == [True] * 4 + [None]


async def test_a_test_moves_no_time_of_the_last_stored_and_leaves_no_exemplar(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1&test=1"))
    await watched.receive(builders.raw("c=a&test=1"))
    assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {}
    families = {family.name: family for family in watched.metrics.collect()}
    assert not any(sample.exemplar for sample in families["postback_received"].samples)


async def test_a_stranger_counts_whatever_he_says(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1&test=1", host=b"example.com"))
    assert watched.counted == {("postback", "unauthenticated"): 1.0}
    assert samples(watched.metrics, "postback_test_received_total") == {}


async def test_the_time_of_the_last_stored_conversion_moves_with_stored_ones_only(
    ledger: SqliteLedger,
) -> None:
    async with watching(ledger, clock=ticking(100.0, 200.0)) as watched:
        for query in ("c=a&value=1", "c=a&value=1", "c=a"):
            await watched.receive(builders.raw(query))
        assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {(): 100.0}
        await watched.receive(builders.raw("c=b&value=1"))
        assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {(): 200.0}


def caller(**changes: Any) -> Authenticate:
    """Return an authentication that takes everybody for a sender, with what is to be said of them."""

    async def authenticate(_raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        return Caller(EZMOB, **changes)

    return authenticate


async def test_a_check_that_is_only_reported_is_in_the_line_and_the_count(ledger: SqliteLedger) -> None:
    told = (WouldReject("credentials", Outcome.UNAUTHENTICATED), WouldReject("rate", Outcome.RATE_LIMITED))
    async with watching(ledger, caller(would_reject=told)) as watched:
        watched.metrics.report_only = frozenset({"credentials", "rate"})
        assert (await watched.receive(builders.raw("c=a&value=1"))).outcome is Outcome.STORED
        assert watched.only_line()["would_reject"] == "unauthenticated rate_limited"
        await watched.intake.receive_batch(batch_of('{"c":"b","value":1}', '{"c":"c"}', '{"c":"d","value":1,"test":1}'))
        assert [line["would_reject"] for line in watched.lines.events()] == ["unauthenticated rate_limited"] * 4
        reported = samples(watched.metrics, "postback_would_reject_total")
        assert reported == {("credentials",): 3.0, ("rate",): 3.0}  # a test is in no count


async def test_a_line_says_nothing_of_checks_that_did_not_fail(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1"))
    assert "would_reject" not in watched.only_line()
    reported = samples(watched.metrics, "postback_would_reject_total", zeros=True)
    assert reported == {("credentials",): 0.0}
    watched.metrics.report_only = frozenset({"rate"})
    reported = samples(watched.metrics, "postback_would_reject_total", zeros=True)
    assert reported == {("credentials",): 0.0, ("rate",): 0.0}


@pytest.mark.parametrize("outcome", [Outcome.FORBIDDEN, Outcome.RATE_LIMITED])
async def test_a_known_sender_that_is_refused_is_named_and_its_rows_are_not_looked_at(
    ledger: SqliteLedger, outcome: Outcome
) -> None:
    async with watching(ledger, caller(refusal=Rejected(outcome, "not now"))) as watched:
        verdict = await watched.receive(builders.raw("c=a&value=1"))
        assert (verdict.outcome, verdict.detail) == (outcome, "not now")
        assert watched.only_line()["sender"] == "ezmob"
        whole = await watched.intake.receive_batch(batch_of("{}", "{}"))
        assert isinstance(whole, Verdict)
        assert whole.outcome is outcome


async def test_while_nobody_can_tell_who_it_is_it_is_our_fault(ledger: SqliteLedger) -> None:
    async def authenticate(_raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        raise RosterUnknown("the database is away")

    async with watching(ledger, authenticate) as watched:
        assert (await watched.receive(builders.raw())).outcome is Outcome.STORAGE_UNAVAILABLE
        whole = await watched.intake.receive_batch(batch_of("{}"))
        assert isinstance(whole, Verdict)
        assert whole.outcome is Outcome.STORAGE_UNAVAILABLE
        assert samples(watched.metrics, "postback_conservation_drift") == {}
