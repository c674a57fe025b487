"""The spool beside a database that fails: honest receipts in time, nobody waits twice, and what was ready says so."""

import asyncio
import time
from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageBroken
from service.spool.fallback import DATABASE_SECONDS, SPOOL_SECONDS
from service.spool.following import SECONDS
from service.spool.pace import Pace
from service.writing.writer import DEADLINE_SECONDS
from tests.support.fakes import in_time, samples
from tests.support.outages import AWAY, BALANCED, DEADLINE, site

pytestmark = pytest.mark.anyio


def some(count: int, start: int = 0) -> list[str]:
    """Return as many valid queries."""
    return [f"c=click-{number}&value={number}" for number in range(start, start + count)]


def test_both_commits_fit_into_one_requests_deadline() -> None:
    looked_at = 1 + 1 / 8  # a deadline is looked at eight times while it runs
    both = (DATABASE_SECONDS + SPOOL_SECONDS) * looked_at
    assert both <= DEADLINE_SECONDS
    assert SECONDS + both < 2  # a newcomer may have asked before who waits


async def test_while_the_database_is_well_nothing_is_spooled(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        assert await there.receive(*some(3)) == ["stored"] * 3
        assert samples(there.metrics, "postback_rows_written_total") == {("conversion",): 3.0}
        assert there.spool("active") == {}
        assert there.spool("usable") == {(): 1.0}
        assert there.spool("capacity_bytes") != {}


@pytest.mark.parametrize("behaviour", ["away", "hangs", "hangs and commits", "loses its answer"])
async def test_a_postback_that_the_database_does_not_take_in_time_is_spooled_and_then_stored_once(
    tmp_path: Path, behaviour: str
) -> None:
    async with site(tmp_path, "well") as there:
        there.database.behaviour = behaviour  # type: ignore[assignment]  # the parameters are its words
        assert await there.receive(*some(3)) == ["spooled"] * 3
        assert there.spool("entries") == {(): 3.0}
        assert there.spool("active") == {(): 1.0}
        assert there.drift == BALANCED
        there.database.recover()
        await there.drained()
        assert there.stored() == {"click-0": "0", "click-1": "1", "click-2": "2"}
        assert there.spool("drained_total") == {("stored",): 3.0}
        told = await there.receive(*some(3))
        assert {*told} <= {"duplicate", "spooled"}  # the drain may not know yet that all is out
        await there.drained()
        assert len(there.rows("SELECT * FROM duplicate")) == 3
        assert there.drift == BALANCED


async def test_during_an_outage_newcomers_do_not_wait_for_the_database(tmp_path: Path) -> None:
    async with site(tmp_path, "hangs") as there:
        assert await there.receive("c=first&value=1") == ["spooled"]
        started = time.monotonic()
        assert await there.receive(*some(50)) == ["spooled"] * 50
        assert time.monotonic() - started < DEADLINE * 0.8
        assert {len(batch) for batch in there.database.batches} == {1}


async def test_no_newcomer_is_tried_in_a_database_that_refuses(tmp_path: Path) -> None:
    async with site(tmp_path, pace=Pace(first_delay=60.0, longest_delay=60.0)) as there:
        there.database.behaviour = "away"
        assert await there.receive("c=first&value=1") == ["spooled"]
        for query in some(20):
            assert await there.receive(query) == ["spooled"]
        assert len(there.database.batches) <= 2  # the first postback, and the drain's first attempt


async def test_only_one_attempt_at_a_time_is_made_while_the_database_is_away(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        there.database.behaviour = "away"
        await there.receive(*some(20))
        before = len(there.database.batches)
        await asyncio.sleep(0.2)
        assert 3 <= len(there.database.batches) - before <= 30  # 0.005 to 0.02 s apart, the longer the later


async def test_rejections_are_kept_in_the_spool_under_their_own_outcome(tmp_path: Path) -> None:
    async with site(tmp_path, "away") as there:
        assert await there.receive("c=a&value=1", "c=a", "c=&value=1") == [
            "spooled",
            "missing_value",
            "missing_click_id",
        ]
        assert there.spool("entries") == {(): 3.0}
        assert there.drift == BALANCED
        there.database.recover()
        await there.drained()
        kept = there.rows("SELECT outcome, click_id FROM rejected_postback ORDER BY id")
        assert kept == [("missing_value", "a"), ("missing_click_id", None)]
        assert there.spool("drained_total") == {("stored",): 1.0, ("rejected",): 2.0}


async def test_a_database_that_is_there_and_too_slow_is_relieved_by_the_spool(tmp_path: Path) -> None:
    async with site(tmp_path, deadline=60, capacity=2) as there:
        there.database.behaviour = "hangs and commits"
        receiving = asyncio.create_task(there.receive(*some(5)))
        await there.until(lambda: there.metrics.spool.entries == 3)
        there.database.recover()
        assert sorted(await in_time(receiving)) == ["spooled"] * 3 + ["stored"] * 2
        assert there.spool("active") == {}  # it was slow, not away
        await there.drained()
        assert len(there.stored()) == 5


async def test_a_full_spool_is_503_and_never_a_false_200(tmp_path: Path) -> None:
    async with site(tmp_path, "away", max_bytes=120_000) as there:
        outcomes = await there.receive(*some(100)) + await there.receive(*some(100, start=100))
        spooled = outcomes.count("spooled")
        assert 0 < spooled < 200
        assert outcomes.count("storage_unavailable") == 200 - spooled
        assert there.spool("entries") == {(): float(spooled)}
        errors = samples(there.metrics, "postback_storage_errors_total")
        assert errors["spool", "SPOOL_FULL"] >= 1
        assert there.drift == BALANCED
        there.database.recover()
        await there.drained()
        assert len(there.stored()) == spooled
        assert await there.receive("c=later&value=1") == ["stored"]


async def test_a_broken_spool_takes_nothing_more_says_so_loudly_and_lets_the_database_go_on(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        there.journal.path.unlink()
        there.database.behaviour = "away"
        assert await there.receive(*some(2)) == ["storage_unavailable"] * 2
        assert there.drift == BALANCED
        assert await there.readiness.reason() is not None
        assert there.spool("usable") == {}
        await there.until(lambda: bool(there.lines.events("spool_broken")))
        there.database.recover()
        await there.until(lambda: not there.metrics.spool.active)
        assert await there.receive("c=a&value=1") == ["stored"]
        there.database.behaviour = "away"
        assert await there.receive("c=b&value=1") == ["storage_unavailable"]
        (line,) = there.lines.events("spool_broken")
        assert line["level"] == "critical"


async def test_a_broken_database_is_told_and_not_hidden_by_the_spool(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        broken = StorageBroken("synchronous_commit is off", ErrorKind.NOT_DURABLE)

        def breaking(*_: object) -> None:
            raise broken

        there.database.commit = breaking  # type: ignore[method-assign, assignment]  # it never returns
        assert await there.receive("c=a&value=1") == ["storage_unavailable"]
        assert there.spool("entries") == {}


async def test_with_a_working_spool_the_service_is_ready_and_says_that_it_spools(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        assert (await there.readiness.reason(), there.readiness.spooling) == (None, False)
        there.database.behaviour = "away"
        assert (await there.readiness.reason(), there.readiness.spooling) == (None, True)
        assert there.metrics.ready
        assert there.spool("entries") == {}  # a probe is never spooled
        there.database.recover()
        await there.drained()
        assert (await there.readiness.reason(), there.readiness.spooling) == (None, False)


async def test_a_service_that_starts_during_an_outage_spools_from_its_first_postback_on(tmp_path: Path) -> None:
    async with site(tmp_path, "away") as there:
        assert there.spool("active") == {(): 1.0}
        assert await there.receive("c=a&value=1") == ["spooled"]
        there.database.recover()
        await there.drained()
        assert there.stored() == {"a": "1"}


async def test_the_log_tells_when_an_outage_began_and_when_it_ended_once_each(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        there.database.behaviour = "away"
        await there.receive(*some(5))
        there.database.recover()
        await there.drained()
        assert [line["reason"] for line in there.lines.events("database_away")] == [str(AWAY)]
        assert len(there.lines.events("database_back")) == 1


async def test_a_sender_cut_off_by_the_stopping_server_while_its_postback_is_spooled_keeps_the_books(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, "hangs") as there:
        task = asyncio.create_task(there.verdict("c=a&value=1"))
        await there.until(lambda: bool(there.database.batches))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert there.drift == BALANCED
        there.database.recover()
        await there.until(lambda: not there.metrics.books.in_progress)
    assert there.drift == BALANCED
