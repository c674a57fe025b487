"""Owns the service that web tests talk to, and the event loop they run on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.served import Served, serving


@pytest.fixture
def anyio_backend() -> str:
    """Run them on asyncio, whose clock a test can set; the system tests run the service on uvloop."""
    return "asyncio"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Serve on an empty database, and close it after the test."""
    async with serving(tmp_path / "postback.db") as service:
        yield service
