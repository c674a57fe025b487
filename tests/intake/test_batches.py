"""A batch: a verdict, a line and a count for each row, in order, whatever fails; or all of it, or none."""

import asyncio
import json
from itertools import count
from pathlib import Path

import pytest

from service.auth.authenticator import Caller
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.decoding import Pairs
from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback
from service.core.sender import Sender
from service.core.verdict import Verdict
from service.intake import GROUP_ROWS
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.fakes import FakeStore, from_ezmob, in_time, samples
from tests.support.watched_intake import FULL, Watched, batch_of, rows, watching

pytestmark = pytest.mark.anyio


async def test_a_batch_of_several_groups_has_a_verdict_a_line_and_a_count_for_each_row_in_order(
    watched: Watched, path: Path
) -> None:
    count = 2 * GROUP_ROWS + 3
    sent = [
        json.dumps({"c": f"click-{number % (count - 1)}", "value": number % (count - 1)}) for number in range(count)
    ]
    sent[GROUP_ROWS] = "{}"
    verdicts = await watched.receive_batch(batch_of(*sent))
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
    receiving = asyncio.create_task(watched.receive_batch(batch_of(*sent)))
    turns = 0
    while not receiving.done():
        assert samples(watched.metrics, "postback_conservation_drift") == {}
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3 * GROUP_ROWS / 128
    assert watched.counted == {("batch", "stored"): 3.0 * GROUP_ROWS}


async def turns_while_parsing(ledger: SqliteLedger, seconds_a_look: float) -> int:
    """Return in how many turns of the loop the clock was looked at while rows were parsed that take so long."""
    turn, looks, looked_in = 0, count(), set()

    def stopwatch() -> float:
        looked_in.add(turn)
        return next(looks) * seconds_a_look

    async with watching(ledger, stopwatch=stopwatch) as watched:
        receiving = asyncio.create_task(watched.receive_batch(batch_of(*["{}"] * 480)))
        while not receiving.done():
            turn += 1
            await asyncio.sleep(0)
    return len(looked_in)


async def test_rows_that_take_long_give_others_their_turns_more_often(sqlite_ledger: SqliteLedger) -> None:
    assert await turns_while_parsing(sqlite_ledger, 0) < 480 / 4
    assert await turns_while_parsing(sqlite_ledger, 0.01) >= 480 / 4


async def test_a_stranger_is_asked_once_and_his_batch_is_not_taken_apart(sqlite_ledger: SqliteLedger) -> None:
    asked = []

    async def authenticate(raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        asked.append(raw)
        return await from_ezmob(raw)

    async with watching(sqlite_ledger, authenticate) as watched:
        verdict = await watched.receive_batch(batch_of("{}", "{}", host=b"example.com"))
        assert isinstance(verdict, Verdict)
        assert verdict.outcome is Outcome.UNAUTHENTICATED
        assert watched.counted == {("batch", "unauthenticated"): 1.0}
        await watched.receive_batch(batch_of('{"c":"a","value":1}', '{"c":"b","value":1}'))
    assert len(asked) == 2


async def test_a_fault_of_ours_in_one_row_is_that_rows_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(raw: RawPostback, sender: Sender, pairs: Pairs | None) -> Postback:
        if raw.request_id.endswith("-2"):
            raise LookupError("a bug in parsing")
        return parse(raw, sender, pairs)

    monkeypatch.setattr("service.intake_parsing.parse", faulty)
    async with watching(FakeStore()) as watched:
        verdicts = await watched.receive_batch(batch_of(*(f'{{"c":"{name}","value":1}}' for name in "abc")))
    assert isinstance(verdicts, list)
    assert [verdict.outcome.value for verdict in verdicts] == ["stored", "internal_error", "stored"]
    assert [line["outcome"] for line in watched.lines.events()] == ["stored", "internal_error", "stored"]
    assert len(watched.lines.events("unexpected_error")) == 1
    assert samples(watched.metrics, "postback_conservation_drift", zeros=True)["arrivals",] == 0


async def test_a_fault_of_ours_in_one_row_stores_nothing_of_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(raw: RawPostback, sender: Sender, pairs: Pairs | None) -> Postback:
        if raw.request_id.endswith("-2"):
            raise LookupError("a bug in parsing")
        return parse(raw, sender, pairs)

    monkeypatch.setattr("service.intake_parsing.parse", faulty)
    store = FakeStore()
    async with watching(store) as watched:
        sent = batch_of('{"c":"a","value":1}', '{"c":"b","value":1}', query=b"atomic=1")
        verdict = await watched.receive_batch(sent)
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
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(watched.receive_batch(one)) for one in sent]
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
        verdicts = await watched.receive_batch(batch_of(*sent))
    assert isinstance(verdicts, list)
    words = [verdict.outcome.value for verdict in verdicts]
    assert words == ["storage_unavailable"] * GROUP_ROWS + ["stored"] * GROUP_ROWS
    assert samples(watched.metrics, "postback_conservation_drift", zeros=True)["arrivals",] == 0


async def test_a_batch_given_up_by_the_stopping_server_has_an_outcome_for_each_row_it_had_begun() -> None:
    store = FakeStore()
    store.gate.clear()
    async with watching(store) as watched:
        receiving = asyncio.create_task(watched.receive_batch(batch_of('{"c":"a","value":1}', "{}")))
        await asyncio.to_thread(store.begun.acquire)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert [line["outcome"] for line in watched.lines.events()] == ["internal_error"] * 2
        assert samples(watched.metrics, "postback_in_progress") == {}
        store.gate.set()
