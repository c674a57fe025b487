"""An entry whose click id was erased after it came leaves the spool without a row, and the book says so."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from service.core.judging import Part
from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import ERASED, Entry, Probe
from service.storage.ledger import Committed
from service.storage.spooling import Spooling
from tests.support import builders
from tests.support.outages import BALANCED, ShakyLedger, left_by_an_earlier_process, site, spooled

pytestmark = pytest.mark.anyio

NOTED = "SELECT run, table_name, reason, outcome, process, rows, deleted_by, click_id_sha256 FROM deletion ORDER BY run"


class Erased(ShakyLedger):
    """A ledger in which one click id was erased a moment ago."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit the others."""
        gone = {one.raw.request_id for one in entries if not isinstance(one, Probe) and one.click_id == "gone"}
        stored = [one for one in entries if isinstance(one, Probe) or one.raw.request_id not in gone]
        places = [Part(place, place + 1, parts[0].manner) for place in range(len(stored))] if parts else ()
        done = super().commit(stored, places)
        told = iter(done.verdicts)
        verdicts = [next(told) if one in stored else ERASED for one in entries]
        return done._replace(verdicts=verdicts, unstored=gone)


def noted(request_id: str, outcome: str) -> tuple[object, ...]:
    """Return what the book says of an entry that was dropped."""
    return (f"spool {request_id}", "spool", "erase", outcome, request_id[:16], 1, "spool", None)


async def test_it_is_dropped_and_noted_once_and_the_books_balance(tmp_path: Path) -> None:
    gone, refused = builders.postback("c=gone&value=1"), builders.rejection(Outcome.INVALID_VALUE, click_id="gone")
    left_by_an_earlier_process(tmp_path, gone, builders.postback("c=a&value=1"), refused)
    async with site(tmp_path, ledger_kind=Erased) as there:
        await there.drained()
        assert there.stored() == {"a": "1"}
        assert there.rows("SELECT count(*) FROM rejected_postback") == [(0,)]
        assert there.rows(NOTED) == [
            noted(gone.raw.request_id, "spooled"),
            noted(refused.raw.request_id, "invalid_value"),
        ]
        assert there.spool("drained_total") == {("stored",): 1.0, ("erased",): 2.0}
        assert there.spool("recognised_total") == {}
        lines = there.lines.events("drained")
        assert [(line["outcome"], "click_id" in line) for line in lines] == [("erased", False)] * 2
        assert there.drift == BALANCED


async def test_what_cannot_be_noted_stays_in_the_journal_and_is_noted_once_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, note = [StorageError("locked", ErrorKind.SQLITE_BUSY)] * 2, Spooling.note_erased

    def noting(spooling: Spooling, entries: Sequence[object]) -> None:
        note(spooling, entries)  # type: ignore[arg-type]  # handed on
        if failures:
            raise failures.pop()

    monkeypatch.setattr(Spooling, "note_erased", noting)
    async with site(tmp_path, ledger_kind=Erased) as there:
        await spooled(there, "c=gone&value=1", "c=a&value=1")
        there.database.recover()
        await there.drained()
        assert failures == []
        assert there.rows("SELECT rows FROM deletion") == [(1,)]
        assert there.spool("drained_total") == {("stored",): 1.0, ("erased",): 1.0}
        assert there.stored() == {"a": "1"}
        assert there.drift == BALANCED
