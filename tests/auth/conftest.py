"""Owns the event loop that the asynchronous tests of this folder run on."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run them on asyncio, whose clock a test can set; the system tests run the service on uvloop."""
    return "asyncio"
