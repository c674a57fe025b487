"""What the drain cannot move: it is tried again or set aside for a person, and the others go on."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from service.core.judging import Part
from service.core.postback import Postback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Entry
from service.spool.places import journal_paths
from service.storage.ledger import Committed
from tests.support import builders
from tests.support.outages import IMPATIENT, ShakyLedger, left_by_an_earlier_process, site, spooled

pytestmark = pytest.mark.anyio


class Picky(ShakyLedger):
    """A ledger in which one entry meets a bug, or every entry does."""

    bug: Callable[[Entry], bool] = staticmethod(lambda _: False)
    error: Exception = LookupError("a bug")

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, unless one of them is the one."""
        if any(map(self.bug, entries)):
            raise self.error
        return super().commit(entries, parts)


async def test_an_entry_that_no_attempt_can_move_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    async with site(tmp_path, ledger_kind=Picky) as there:
        await spooled(there, *(f"c={click_id}&value=1" for click_id in "abcd"))
        assert isinstance(there.database, Picky)
        there.database.bug = lambda entry: isinstance(entry, Postback) and entry.click_id == "b"
        there.database.recover()
        await there.until(lambda: there.metrics.spool.entries == 1 and not there.metrics.spool.active)
        assert there.stored() == {"a": "1", "c": "1", "d": "1"}
        (line,) = there.lines.events("spool_entry_set_aside")
        assert (line["level"], line["reason"]) == ("critical", "a bug")
    async with site(tmp_path) as later:  # a mended version
        await later.drained()
        assert later.stored().keys() == {"a", "b", "c", "d"}


async def test_an_entry_that_the_database_does_not_take_for_a_while_is_passed_over_and_tried_again(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, pace=IMPATIENT._replace(passed_over=0.2), ledger_kind=Picky) as there:
        await spooled(there, *(f"c={click_id}&value=1" for click_id in "abcd"))
        assert isinstance(there.database, Picky)
        there.database.error = StorageError("the row is locked", ErrorKind.PG_TIMEOUT)
        there.database.bug = lambda entry: isinstance(entry, Postback) and entry.click_id == "b"
        there.database.recover()
        await there.until(lambda: there.stored() == {"a": "1", "c": "1", "d": "1"})
        there.database.bug = lambda _: False
        await there.drained()
        assert there.stored().keys() == {"a", "b", "c", "d"}
        assert there.lines.events("spool_entry_set_aside") == []
        assert there.lines.events("spool_entry_passed_over")[0]["level"] == "warning"


async def test_a_bug_that_meets_everything_sets_nothing_aside(tmp_path: Path) -> None:
    async with site(tmp_path, ledger_kind=Picky) as there:
        await spooled(there, "c=a&value=1", "c=b&value=1")
        assert isinstance(there.database, Picky)
        there.database.bug = lambda _: True
        there.database.recover()
        await there.until(lambda: len(there.lines.events("drain_failed")) > 2)
        assert there.lines.events("spool_entry_set_aside") == []
        there.database.bug = lambda _: False
        await there.drained()
        assert there.stored() == {"a": "1", "b": "1"}


async def test_a_row_that_cannot_be_read_stays_for_a_person_and_the_others_go_on(tmp_path: Path) -> None:
    left_by_an_earlier_process(tmp_path, *(builders.postback(f"c={click_id}&value=1") for click_id in "abc"))
    with closing(sqlite3.connect(journal_paths(tmp_path / "spool", 0)[0])) as connection, connection:
        connection.execute("UPDATE entry SET version = 99 WHERE click_id = 'b'")
    async with site(tmp_path) as there:
        await there.until(lambda: there.metrics.spool.entries == 1)
        assert there.stored() == {"a": "1", "c": "1"}
        assert "version 99" in str(there.lines.events("spool_entry_set_aside")[0]["reason"])
        assert await there.receive("c=d&value=1") == ["stored"]
