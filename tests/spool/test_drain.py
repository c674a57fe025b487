"""The way back from the spool: in order, once each, and recognised where an answer or a removal was lost."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from service.core.judging import Part
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Entry, Probe
from service.spool.journal import Journal
from service.storage.ledger import Committed
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.fakes import in_time
from tests.support.outages import AWAY, IMPATIENT, committed, left_by_an_earlier_process, site, spooled

pytestmark = pytest.mark.anyio

FULL = StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)


async def test_the_backlog_goes_to_the_database_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    in_order = IMPATIENT._replace(suspicious=10**6)  # else another key may pass the oldest entry once
    async with site(tmp_path, pace=in_order) as there:
        await spooled(there, *(f"c=click-{number}&value=1" for number in range(60)))
        there.database.batches.clear()
        there.database.recover()
        await there.drained()
        first = committed(there.database.batches).index("click-0")
        assert committed(there.database.batches)[first:][-60:] == [f"click-{number}" for number in range(60)]


async def test_of_two_spooled_values_the_first_stands_and_the_second_is_kept_as_a_conflict(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await spooled(there, "c=a&value=1", "c=b&value=1", "c=a&value=2", "c=a&value=1")
        there.database.recover()
        await there.drained()
        assert there.stored() == {"a": "1", "b": "1"}
        assert there.rows("SELECT outcome, click_id FROM rejected_postback") == [("conflict", "a")]
        assert there.rows("SELECT click_id FROM duplicate") == [("a",)]
        drained = {("stored",): 2.0, ("duplicate",): 1.0, ("conflict",): 1.0}
        assert there.spool("drained_total") == drained
        (line,) = there.lines.events("drained")
        assert (line["outcome"], line["click_id"]) == ("conflict", "a")
        assert line["detail"] == "stored 1 (no currency), received 2 (no currency)"


async def test_a_key_that_was_stored_before_the_outage_makes_a_kept_conflict(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        assert await there.receive("c=a&value=1") == ["stored"]
        await spooled(there, "c=a&value=2")
        there.database.recover()
        await there.drained()
        assert there.stored() == {"a": "1"}
        assert there.rows("SELECT outcome, click_id FROM rejected_postback") == [("conflict", "a")]


async def test_a_live_retry_of_a_key_that_still_waits_is_one_conversion(tmp_path: Path) -> None:
    left_by_an_earlier_process(tmp_path, builders.postback("c=a&value=1"))
    async with site(tmp_path) as there:
        assert await there.receive("c=a&value=1") in (["spooled"], ["duplicate"])
        await there.drained()
        assert there.stored() == {"a": "1"}
        assert there.rows("SELECT click_id FROM duplicate") == [("a",)]


async def test_nothing_overtakes_what_waits_under_its_key(tmp_path: Path) -> None:
    """Else the second value would stand, and its sender would be told that the first one came later."""
    before = [builders.postback(f"c=click-{number}&value=1") for number in range(300)]
    left_by_an_earlier_process(tmp_path, *before, builders.postback("c=a&value=1"))
    async with site(tmp_path) as there:
        await there.receive("c=a&value=2", "c=b&value=1")
        await there.drained()
        assert (there.stored()["a"], there.stored()["b"]) == ("1", "1")
        assert there.rows("SELECT click_id, outcome FROM rejected_postback") == [("a", "conflict")]
        assert await there.receive("c=c&value=1") == ["stored"]


async def test_the_next_process_drains_what_it_finds_and_counts_it_as_inherited(tmp_path: Path) -> None:
    async with site(tmp_path) as before:
        await spooled(before, "c=a&value=1", "c=b&value=2")
    async with site(tmp_path) as there:
        assert there.spool("entries") in ({(): 2.0}, {})
        await there.drained()
        assert there.stored() == {"a": "1", "b": "2"}
        assert there.spool("inherited_total") == {(): 2.0}
        assert await there.receive("c=a&value=1") == ["duplicate"]


async def test_what_the_database_has_already_is_recognised_after_a_kill_between_commit_and_removal(
    tmp_path: Path,
) -> None:
    postbacks = [builders.postback("c=a&value=1"), builders.postback("c=b&value=2")]
    left_by_an_earlier_process(tmp_path, *postbacks)
    ledger = SqliteLedger(tmp_path / "postback.db")
    ledger.open()
    ledger.commit(postbacks[:1])
    ledger.close()
    async with site(tmp_path) as there:
        await there.drained()
        assert there.stored() == {"a": "1", "b": "2"}
        assert there.spool("drained_total") == {("stored",): 2.0}
        assert there.spool("recognised_total") == {(): 1.0}
        assert there.rows("SELECT * FROM duplicate") == []


async def test_a_step_whose_answer_was_lost_is_tried_again_and_recognised(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await spooled(there, "c=a&value=1", "c=b&value=2")
        there.database.behaviour = "loses its answer"
        await there.until(lambda: there.rows("SELECT count(*) FROM conversion") == [(2,)])
        there.database.recover()
        await there.drained()
        assert there.spool("recognised_total") == {(): 2.0}
        assert there.rows("SELECT * FROM duplicate") == []


async def test_a_removal_that_fails_is_tried_again_without_another_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, remove = [FULL, FULL], Journal.remove

    def removing(journal: Journal, seqs: Collection[int]) -> int:
        if failures:
            raise failures.pop()
        return remove(journal, seqs)

    monkeypatch.setattr(Journal, "remove", removing)
    async with site(tmp_path) as there:
        await spooled(there, "c=a&value=1", "c=a&value=1")
        there.database.recover()
        await there.drained()
        assert failures == []
        assert there.rows("SELECT click_id FROM duplicate") == [("a",)]
        assert there.spool("recognised_total") == {}


async def test_a_partly_durable_step_is_settled_by_the_next(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await spooled(there, "c=a&value=1", "c=b&value=2")
        commit = there.database.commit

        def halfway(entries: Sequence[Entry], _parts: Sequence[Part] = ()) -> Committed:
            if not any(isinstance(entry, Postback) for entry in entries):
                return commit(entries)
            there.database.commit = commit  # type: ignore[method-assign]  # this once
            rows = commit([entry for entry in entries if not isinstance(entry, Probe)]).rows
            raise StorageError("lost", ErrorKind.PG_CONNECTION, rows={"conversion": rows["conversion"]})

        there.database.commit = halfway  # type: ignore[method-assign, assignment]
        there.database.recover()
        await there.drained()
        assert there.metrics.books.late >= 1
        assert there.spool("recognised_total") == {(): float(there.metrics.books.late)}
        assert there.stored() == {"a": "1", "b": "2"}


async def test_an_outage_that_nobody_notices_ends_by_a_probe(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        there.database.behaviour = "away"
        await there.readiness.reason()
        assert there.spool("active") == {(): 1.0}
        there.database.recover()
        await in_time(there.drained())
        assert [type(entry) for entry in there.database.batches[-1]] == [Probe]
        assert there.lines.events("database_away")[0]["reason"] == str(AWAY)
