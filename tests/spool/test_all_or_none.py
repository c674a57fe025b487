"""A batch of all or none is judged by the database, so it is never spooled: without the database it is refused."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.judging import Manner
from service.core.unavailable import NotTogether, StorageError
from service.core.verdict import Entry
from service.telemetry.metrics.books import NOBODY
from service.telemetry.record import LiveRecord
from tests.support import builders
from tests.support.fakes import kept_log
from tests.support.outages import IMPATIENT, Site, another_worker, site, spooled

pytestmark = pytest.mark.anyio


def batch(*click_ids: str) -> Sequence[Entry]:
    """Return a postback of each click id."""
    return [builders.postback(f"c={click_id}&value=1") for click_id in click_ids]


async def written(there: Site, *click_ids: str) -> list[str]:
    """Write a batch of all or none, and say what became of it."""
    told = await there.writer.write(NOBODY, *batch(*click_ids), manner=Manner.ATOMIC)
    return [verdict.outcome.value for verdict in told.verdicts]


async def test_while_the_database_is_there_it_is_stored(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        assert await written(there, "a", "b") == ["stored", "stored"]


async def test_during_an_outage_it_is_refused_at_once_and_nothing_of_it_waits(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await spooled(there, "c=first&value=1")
        with pytest.raises(NotTogether, match="all or none is judged by the database, which is away") as refused:
            await written(there, "a", "b")
        record = LiveRecord(there.metrics, kept_log(there.lines, there.metrics))
        assert "without atomic=1" in record.fail(builders.raw("c=a&value=1"), refused.value).hint
        assert there.spool("entries") == {(): 1.0}
        there.database.recover()
        await there.drained()
        assert there.stored() == {"first": "1"}


async def test_if_the_database_fails_it_is_refused_and_an_outage_begins(tmp_path: Path) -> None:
    async with site(tmp_path, pace=IMPATIENT._replace(first_delay=60.0, longest_delay=60.0)) as there:
        there.database.behaviour = "away"
        with pytest.raises(StorageError, match="connection refused"):
            await written(there, "a", "b")
        assert there.spool("entries") == {}
        assert there.spool("active") == {(): 1.0}
        assert await there.receive("c=c&value=1") == ["spooled"]


async def test_it_does_not_overtake_what_waits(tmp_path: Path) -> None:
    waits = builders.postback("c=a&value=2", received_at=builders.RECEIVED_AT - timedelta(seconds=1))
    with another_worker(tmp_path, waits) as other:
        async with site(tmp_path) as there:
            with pytest.raises(StorageError, match="a click id of it waits in the spool"):
                await written(there, "b", "a")
            assert await written(there, "b") == ["stored"]
            other.remove([1])
            assert await written(there, "a") == ["stored"]
            assert there.spool("active") == {}
