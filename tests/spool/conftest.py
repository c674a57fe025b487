"""Owns the event loop that the asynchronous tests of this folder run on, and the drain's pace."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run them on asyncio, whose clock a test can set; the system tests run the service on uvloop."""
    return "asyncio"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the drain try often."""
    monkeypatch.setattr("service.spool.drain._FIRST_DELAY", 0.01)
    monkeypatch.setattr("service.spool.drain._LONGEST_DELAY", 0.02)
