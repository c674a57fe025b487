"""Owns the drain's pace."""

import pytest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the drain try often."""
    monkeypatch.setattr("service.spool.drain._FIRST_DELAY", 0.01)
    monkeypatch.setattr("service.spool.drain._LONGEST_DELAY", 0.02)
