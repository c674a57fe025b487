"""Seen from outside: who shows a good key is served, whatever strangers do with all the connections they can get."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.support.outside.crowd import STRANGERS, Stranger, crowd
from tests.support.outside.harness import Service
from tests.support.outside.ledger import run
from tests.support.outside.registering import told
from tests.support.outside.wire import HungUp, Line, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

CONNECTIONS = 64
CROWD = 150
NEWCOMERS = {"short": 300, "long": 1_000}
AT_ONCE = 10
KNOWN = 20
PATIENCE = 5


async def sent(line: Line, click_id: str, key: str) -> str:
    """Send one postback with its key; return what came of it."""
    try:
        async with asyncio.timeout(PATIENCE):
            return str((await line.exchange(request(f"/postback?c={click_id}&value=1&key={key}"))).outcome)
    except (HungUp, TimeoutError) as error:
        return type(error).__name__


async def newcomer(service: Service, click_id: str, key: str) -> str:
    """Send one postback on a connection of its own."""
    try:
        line = await Line.connect(service.public)
    except OSError:
        return "not connected"
    try:
        return await sent(line, click_id, key)
    finally:
        line.close()


async def beside_a_crowd(
    service: Service, key: str, stranger: Stranger, newcomers: int
) -> tuple[Counter[str], Counter[str]]:
    """Return what came of the newcomers' postbacks, and of those on connections that were there before."""
    known = [await Line.connect(service.public) for _ in range(KNOWN)]
    for number, line in enumerate(known):
        assert await sent(line, f"before-{number}", key) == "stored"
    came: Counter[str] = Counter()
    async with crowd(service.public, stranger, CROWD):
        await asyncio.sleep(2)
        for first in range(0, newcomers, AT_ONCE):
            came.update(
                await asyncio.gather(*(newcomer(service, f"new-{first + each}", key) for each in range(AT_ONCE)))
            )
        stayed = Counter([await sent(line, f"stayed-{number}", key) for number, line in enumerate(known)])
    for line in known:
        line.close()
    return came, stayed


@pytest.mark.parametrize("strangers", STRANGERS)
def test_newcomers_with_a_key_find_places_and_who_showed_one_keeps_his(
    tmp_path: Path, form: Literal["short", "long"], figures: Callable[[str], None], strangers: str
) -> None:
    key = told(tmp_path, f"sqlite:///{tmp_path / 'p.db'}", "keys", "create", "ezmob")["key"]
    with Service(tmp_path, {"MAX_CONNECTIONS": str(CONNECTIONS)}) as service:
        began = time.monotonic()
        came, stayed = run(beside_a_crowd(service, key, STRANGERS[strangers], NEWCOMERS[form]))
        seconds = time.monotonic() - began
        figures(f"{strangers}: newcomers {dict(came)}, on lines that were there {dict(stayed)}, {seconds:.0f} s")
        assert came["stored"] >= 0.99 * NEWCOMERS[form]
        assert stayed == {"stored": KNOWN}
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
