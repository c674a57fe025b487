"""Owns the service that the whole table is sent to: one a module, each row on its own with the same loop."""

from collections.abc import Iterator
from functools import partial

import pytest
from anyio.from_thread import start_blocking_portal

from tests.dialects.site import Send, opened


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Send a row through a door."""
    folder = tmp_path_factory.mktemp("dialects")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened(folder)) as site:
        yield partial(portal.call, site.send)
