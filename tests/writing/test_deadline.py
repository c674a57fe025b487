"""The deadline: nobody waits for longer, nobody is given up before it, and what is late does no harm."""

import pytest
from anyio.lowlevel import checkpoint

from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Verdict
from service.telemetry.metrics.books import NOBODY
from tests.support import builders
from tests.support.fakes import FakeStore, LoopClock
from tests.support.writers import DEADLINE, FULL, admitted, entries, fates, write_apart, writing

pytestmark = pytest.mark.anyio


async def test_whoever_waited_for_the_deadline_is_told_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(4))  # two handed over, two waiting
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 4


async def test_nobody_is_given_up_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        early = await write_apart(writer, entries(3))
        clock.move(DEADLINE - 1)
        late = await write_apart(writer, entries(3))
        clock.move(1 + DEADLINE / 8)  # it is looked for eight times in a deadline
        assert await fates(early) == ["TIMEOUT"] * 3
        store.gate.set()
        assert await fates(late) == ["stored"] * 3


async def test_the_deadline_holds_again_after_a_quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    async with writing(store) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["stored"]
        clock.move(DEADLINE + 1)
        for _ in range(3):
            await checkpoint()  # the timer looks round, and finds nobody waiting
        store.gate.clear()
        future = writer.write(NOBODY, builders.postback())
        clock.move(DEADLINE + 1)
        assert await fates([future]) == ["TIMEOUT"]


async def test_the_deadline_needs_no_help_from_a_clock() -> None:
    store = FakeStore()
    store.gate.clear()
    async with writing(store, deadline=0.05) as writer:
        assert await fates([writer.write(NOBODY, builders.postback())]) == ["TIMEOUT"]


async def test_a_waiting_entry_that_was_given_up_is_never_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store, sent = LoopClock(monkeypatch), FakeStore(), entries(4)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, sent)
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 4
        later = builders.postback("c=later&value=1")
        store.gate.set()
        assert await fates([await admitted(writer, later)]) == ["stored"]
    assert store.batches == [sent[:1], sent[1:2], [later]]


@pytest.mark.parametrize("failures", [[], [FULL, FULL]])
async def test_the_late_result_of_a_batch_that_was_given_up_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception]
) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore(*failures)
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(2))
        clock.move(DEADLINE + 1)
        assert await fates(futures) == ["TIMEOUT"] * 2
        store.gate.set()
        assert (await (await admitted(writer, builders.postback()))).verdict == Verdict(Outcome.STORED, "3.0")


async def test_while_the_disk_hangs_newcomers_are_refused_at_once_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        hung = await write_apart(writer, entries(1))
        clock.move(DEADLINE + 1)
        assert await fates(hung) == ["TIMEOUT"]
        with pytest.raises(StorageError) as refused:
            writer.write(NOBODY, builders.postback())
        assert refused.value.kind == ErrorKind.TIMEOUT
        store.gate.set()
        assert await fates([await admitted(writer, builders.postback())]) == ["stored"]
    assert store.sizes == [1, 1]


async def test_an_entry_nobody_waits_for_any_more_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = LoopClock(monkeypatch), FakeStore()
    store.gate.clear()
    async with writing(store) as writer:
        futures = await write_apart(writer, entries(5))
        for future in (futures[0], futures[3]):  # one being committed, one waiting beside others
            future.cancel()
        store.gate.set()
        assert await fates([futures[1], futures[2], futures[4]]) == ["stored"] * 3
        store.gate.clear()
        cancelled = [writer.write(NOBODY, builders.postback()), writer.write(NOBODY, builders.postback())]
        cancelled[0].cancel()
        clock.move(DEADLINE + 1)
        assert await fates(cancelled[1:]) == ["TIMEOUT"]
