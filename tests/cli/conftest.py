"""Owns how the tests of this folder run commands, and what a database of theirs holds."""

from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.verdict import Entry
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import at_terminal, bare, service
from tests.support.migrated import put_migrated

__all__ = ["at_terminal", "bare", "service", "stored"]


@pytest.fixture
def stored(bare: Path) -> None:
    """Fill the database that the commands read: one conversion with a retry, and one rejection."""
    entries: list[Entry] = [
        builders.postback("c=came&value=1.50&currency=EUR"),
        builders.postback("c=came&value=1.50&currency=EUR"),
        builders.rejection(Outcome.INVALID_VALUE, "refused"),
    ]
    put_migrated(bare / "data/postback.db")
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    for entry in entries:
        ledger.commit([entry])
    ledger.close()
