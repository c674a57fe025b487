"""Owns the ledger that storage tests write to: a real SQLite file in the test's own folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage.sqlite import SqliteLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Say where the database is."""
    return tmp_path / "data" / "postback.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    """Open a ledger on an empty file, and close it after the test."""
    opened = SqliteLedger(path)
    opened.open()
    yield opened
    opened.close()
