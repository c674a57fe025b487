"""What a spool asks of its database, on every engine: which one it is, and to note what was erased meanwhile."""

from datetime import timedelta

import pytest

from service.core.unavailable import StorageError
from service.storage.audit import Window, unknown_outcomes
from service.storage.ledger import Ledger
from service.storage.spooling import ErasedEntry
from tests.support import builders
from tests.support.engines import Engine

AT = builders.RECEIVED_AT
DROPPED = ErasedEntry("a" * 32, "spooled", AT)
REFUSED = ErasedEntry("a" * 16 + "b" * 16, "invalid_value", AT)


def test_a_database_keeps_its_name(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    name = engine.database.spooling().identity()
    assert len(name) == 32
    assert engine.database.spooling().identity() == name


def test_a_dropped_entry_is_noted_once_however_often_that_is_asked_for(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    for _ in range(2):
        engine.database.spooling().note_erased([DROPPED, REFUSED])
    page = engine.database.deletions().book(10)
    noted = {(one.run, one.table_name, one.reason, one.outcome, one.rows, one.first_received_at) for one in page}
    assert noted == {
        (f"spool {one.request_id}", "spool", "erase", one.outcome, 1, one.received_at) for one in (DROPPED, REFUSED)
    }
    assert {one.click_id_sha256 for one in page} == {None}  # it erased nothing by itself


def test_an_audit_counts_what_was_dropped_and_misses_no_row_for_it(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    engine.database.spooling().note_erased([DROPPED, REFUSED])
    with engine.database.audit() as audit:
        counts = audit.counts(Window("a" * 16, AT, AT + timedelta(minutes=1)))
    assert {outcome: (found.rows, found.written, found.dropped) for outcome, found in counts.items()} == {
        "spooled": (0, 0, 1),
        "invalid_value": (0, 0, 1),
    }
    assert unknown_outcomes(counts) == []


def test_a_database_without_a_name_says_so(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    engine.change("DELETE FROM database_identity")
    with pytest.raises(StorageError, match="has no identity"):
        engine.database.spooling().identity()
