"""A journal names its database: what waits for one is never drained into another, and a start says so."""

from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageBroken
from service.spool.journal import Journal
from service.spool.places import journal_paths
from tests.support import builders
from tests.support.outages import BALANCED, another_worker, site, spooled

pytestmark = pytest.mark.anyio

THEIRS = "1" * 32


def left_for_another_database(folder: Path) -> None:
    """Make a journal whose entry is for another database."""
    journal = Journal(journal_paths(folder / "spool", 0)[0])
    journal.open()
    journal.claim(THEIRS)
    journal.commit([builders.postback("c=theirs&value=1")])
    journal.close()


async def test_a_start_on_another_databases_journal_is_refused_and_may_be_tried_again(tmp_path: Path) -> None:
    left_for_another_database(tmp_path)
    for _ in range(2):  # the lock was given back
        with pytest.raises(StorageBroken, match="POSTBACK_SPOOL_DIR") as refused:
            async with site(tmp_path):
                pass
        assert refused.value.kind == ErrorKind.ANOTHER_DATABASE


async def test_a_start_beside_a_service_of_another_database_is_refused(tmp_path: Path) -> None:
    with another_worker(tmp_path) as other:
        other.claim(THEIRS)
        with pytest.raises(StorageBroken, match="worker-1"):
            async with site(tmp_path):
                pass


async def test_if_the_database_was_away_at_the_start_its_name_is_compared_before_anything_is_drained(
    tmp_path: Path,
) -> None:
    left_for_another_database(tmp_path)
    async with site(tmp_path, "away") as there:
        assert await there.receive("c=a&value=1") == ["spooled"]
        there.database.recover()
        await there.until(lambda: not there.metrics.spool.active)
        assert await there.receive("c=b&value=1") == ["stored"]
        assert there.stored() == {"b": "1"}
        assert there.spool("entries") == {(): 2.0}
        assert there.spool("usable") == {}
        (line,) = there.lines.events("spool_broken")
        assert "is for another database" in str(line["reason"])
        assert there.drift == BALANCED


async def test_if_the_database_was_away_at_the_start_a_shared_directory_is_refused_when_it_is_back(
    tmp_path: Path,
) -> None:
    with another_worker(tmp_path) as other:
        other.claim(THEIRS)
        other.commit([builders.postback("c=a&value=1")])
        async with site(tmp_path, "away") as there:
            await spooled(there, "c=a&value=1")
            there.database.recover()
            await there.until(lambda: not there.metrics.spool.active)
            assert await there.receive("c=b&value=1") == ["stored"]
            assert there.stored() == {"b": "1"}
            assert "worker-1" in str(there.lines.events("spool_broken")[0]["reason"])


async def test_a_journal_takes_the_name_at_the_first_contact(tmp_path: Path) -> None:
    async with site(tmp_path, "away") as there:
        await spooled(there, "c=a&value=1")
        there.database.recover()
        await there.drained()
    with pytest.raises(StorageBroken):
        _claim_filled(tmp_path)


def _claim_filled(folder: Path) -> None:
    journal = Journal(journal_paths(folder / "spool", 0)[0])
    journal.open()
    journal.commit([builders.postback("c=b&value=1")])
    try:
        journal.claim(THEIRS)
    finally:
        journal.close()
