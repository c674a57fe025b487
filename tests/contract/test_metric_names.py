"""The metrics other people's dashboards rely on: names, types and labels as promised, and never more of them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from httpx2 import Response
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import LEVELS
from service.outcome import Outcome
from service.postback import Door
from tests.web.served import Served, serving

pytestmark = pytest.mark.anyio

CONTRACT: dict[str, tuple[str, str]] = {  # the labels in the alphabet's order
    "postback_received_total": ("counter", "door outcome"),
    "postback_sender_received_total": ("counter", "family sender"),
    "postback_http_responses_total": ("counter", "code method route"),
    "postback_http_request_duration_seconds": ("histogram", "route"),
    "postback_http_requests_in_flight": ("gauge", ""),
    "postback_commit_duration_seconds": ("histogram", ""),
    "postback_commit_rows": ("histogram", ""),
    "postback_queue_depth": ("gauge", ""),
    "postback_queue_capacity": ("gauge", ""),
    "postback_oldest_queued_timestamp_seconds": ("gauge", ""),
    "postback_last_stored_timestamp_seconds": ("gauge", ""),
    "postback_storage_errors_total": ("counter", "error operation"),
    "postback_log_lines_total": ("counter", "level"),
    "postback_log_dropped_total": ("counter", ""),
    "postback_build_info": ("gauge", "revision version"),
}
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Serve on an empty database."""
    async with serving(tmp_path / "postback.db") as service:
        yield service


async def scraped(served: Served) -> dict[str, tuple[str, str]]:
    """Return type and labels of every metric of ours on the page, under the names that queries use."""
    page = (await served.operator.get("/metrics")).text
    found = {}
    for family in text_string_to_metric_families(page):
        if family.name.startswith("postback_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels if label != "le"}
            found[name] = (family.type, " ".join(sorted(labels)))
    return found


async def series(served: Served) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return every time series on the page."""
    page = (await served.operator.get("/metrics")).text
    families = text_string_to_metric_families(page)
    return {(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples}


async def test_every_metric_has_the_name_the_type_and_the_labels_of_the_contract(served: Served) -> None:
    await served.public.get("/postback?c=a&value=1")
    served.metrics.count_storage_error("commit", "SQLITE_FULL")
    assert await scraped(served) == CONTRACT


async def test_every_name_is_there_before_anything_happens(served: Served) -> None:
    assert set(await scraped(served)) == set(CONTRACT)


async def test_every_door_and_outcome_starts_at_zero(served: Served) -> None:
    registry = served.metrics.registry
    for door, outcome in product(get_args(Door), Outcome):
        labels = {"door": door, "outcome": outcome.value}
        assert registry.get_sample_value("postback_received_total", labels) == 0.0
    for level in LEVELS:
        assert registry.get_sample_value("postback_log_lines_total", {"level": level}) == 0.0
    assert registry.get_sample_value("postback_log_dropped_total") == 0.0
    assert registry.get_sample_value("postback_last_stored_timestamp_seconds") == 0.0


async def anything(served: Served, number: int) -> Response:
    """Send one of all kinds of requests, with ids, paths, methods, hosts and parameters that never came before."""
    new = secrets.token_hex(8)
    asks: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("GET", f"/postback?c={new}&value={number}", {}),
        ("POST", f"/conversion?c={new}&value=1&{new}={new}", {"user-agent": new}),
        ("GET", f"/postback?c={new}&value={new}&currency={new}", {}),
        ("GET", f"/postback?c={new}&value=1", {"host": f"{new}.example"}),
        (METHODS[number % len(METHODS)], f"/{new}", {}),
        (new.upper(), f"/postback?c={new}", {"traceparent": new}),
        (METHODS[number % len(METHODS)], f"/healthz/{new}", {}),
        (new.upper(), f"/{new}/{new}", {}),
    )
    method, target, headers = asks[number % len(asks)]
    return await served.public.request(method, target, headers=headers)


async def test_no_request_can_make_a_new_series(served: Served) -> None:
    kinds = 8 * len(METHODS)
    await asyncio.gather(*[anything(served, number) for number in range(kinds)])
    await series(served)  # a scrape is a response, too
    before = await series(served)
    for start in range(0, 2000, 100):
        await asyncio.gather(*[anything(served, number) for number in range(start, start + 100)])
    assert await series(served) == before
    assert len(served.lines.events()) > 1000
