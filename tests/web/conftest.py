"""Owns the service that web tests talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.served import Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Serve on an empty database, and close it after the test."""
    async with serving(tmp_path / "postback.db") as service:
        yield service
