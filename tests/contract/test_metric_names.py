"""The metrics other people's dashboards rely on: names, types and labels as promised, and never more of them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from itertools import product
from pathlib import Path

import pytest
from httpx2 import Response
from prometheus_client.parser import text_string_to_metric_families

from service.core.outcome import Family, Mistake, Outcome
from service.core.postback import DOORS, PIXEL_PATH, POSTBACK_PATHS
from service.telemetry.metrics.catalogue import CATALOGUE, DRAINED, LEVELS, TABLES
from tests.support.fakes import samples
from tests.support.promql import OF_THE_LIBRARY
from tests.support.served import Served, serving

pytestmark = pytest.mark.anyio

CONTRACT: dict[str, tuple[str, str]] = {  # written out: a name that other people use must not change by accident
    "postback_arrived_total": ("counter", "door"),
    "postback_batch_room_bytes": ("gauge", "room"),
    "postback_batch_room_capacity_bytes": ("gauge", "room"),
    "postback_connections": ("gauge", "client"),
    "postback_connections_capacity": ("gauge", ""),
    "postback_build_info": ("gauge", "revision version"),
    "postback_commit_duration_seconds": ("histogram", ""),
    "postback_commit_rows": ("histogram", ""),
    "postback_conservation_drift": ("gauge", "check"),
    "postback_deleted_rows_total": ("counter", "reason table"),
    "postback_event_loop_lag_seconds": ("histogram", ""),
    "postback_http_request_duration_seconds": ("histogram", "route"),
    "postback_http_requests_in_flight": ("gauge", ""),
    "postback_http_responses_total": ("counter", "code method route"),
    "postback_in_progress": ("gauge", ""),
    "postback_last_stored_timestamp_seconds": ("gauge", ""),
    "postback_late_commits_total": ("counter", ""),
    "postback_not_kept_total": ("counter", "reason"),
    "postback_log_dropped_total": ("counter", ""),
    "postback_log_lines_total": ("counter", "level"),
    "postback_log_rate_limited_total": ("counter", "event outcome"),
    "postback_oldest_queued_timestamp_seconds": ("gauge", ""),
    "postback_queue_capacity": ("gauge", ""),
    "postback_queue_depth": ("gauge", ""),
    "postback_ready": ("gauge", ""),
    "postback_received_total": ("counter", "door outcome"),
    "postback_rejected_bytes": ("gauge", ""),
    "postback_rejected_capacity_bytes": ("gauge", ""),
    "postback_retention_clock_suspect": ("gauge", ""),
    "postback_rows_written_total": ("counter", "table"),
    "postback_sender_received_total": ("counter", "family sender"),
    "postback_mistakes_total": ("counter", "mistake"),
    "postback_test_received_total": ("counter", "outcome"),
    "postback_spool_active": ("gauge", ""),
    "postback_spool_bytes": ("gauge", ""),
    "postback_spool_capacity_bytes": ("gauge", ""),
    "postback_spool_drained_total": ("counter", "outcome"),
    "postback_spool_entries": ("gauge", ""),
    "postback_spool_inherited_total": ("counter", ""),
    "postback_spool_oldest_timestamp_seconds": ("gauge", ""),
    "postback_spool_recognised_total": ("counter", ""),
    "postback_spool_usable": ("gauge", ""),
    "postback_storage_capacity_bytes": ("gauge", ""),
    "postback_storage_errors_total": ("counter", "error operation"),
    "postback_storage_file_bytes": ("gauge", "file"),
    "postback_storage_free_bytes": ("gauge", ""),
    "postback_tls_certificate_expiry_timestamp_seconds": ("gauge", ""),
    "postback_worker_restarts_total": ("counter", ""),
    "postback_would_reject_total": ("counter", "check"),
    "postback_key_expiry_timestamp_seconds": ("gauge", ""),
}
SPOOL = [name for name, (_, labels) in CONTRACT.items() if name.startswith("postback_spool_") and not labels]
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")

LIVE_DOORS = ("postback", "pixel", "batch")  # import and replay are commands: no series of theirs could rise


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


async def test_every_metric_has_the_name_the_type_and_the_labels_of_the_contract_from_the_start(
    served: Served,
) -> None:
    assert await scraped(served) == CONTRACT


async def test_what_dashboards_and_alerts_take_from_the_client_library_is_on_the_page(served: Served) -> None:
    assert {name for name, _ in await series(served)} >= OF_THE_LIBRARY


def test_what_is_declared_is_what_is_promised() -> None:
    assert {it.name: (it.kind, " ".join(sorted(it.labels))) for it in CATALOGUE} == CONTRACT


def test_every_declared_metric_has_a_meaning_and_no_two_share_one() -> None:
    meanings = [it.help for it in CATALOGUE]
    assert all(meaning.endswith(".") and len(meaning) > len("Always 1") for meaning in meanings)
    assert len(set(meanings)) == len(meanings)


def bounded_lines() -> set[tuple[str, str]]:
    """Return every kind of line that is bounded: it could be left out, and must be countable before it is."""
    postbacks = {("postback", outcome.value) for outcome in Outcome if outcome.level in ("warning", "error")}
    return postbacks | {("unexpected_error", ""), ("library", "")}


async def test_every_closed_set_of_labels_starts_at_zero(served: Served) -> None:
    everything = samples(served.metrics, "postback_received_total", zeros=True)
    assert everything == {(door, outcome.value): 0.0 for door, outcome in product(LIVE_DOORS, Outcome)}
    closed: list[tuple[str, AbstractSet[tuple[str, ...]]]] = [
        ("postback_arrived_total", {(door,) for door in LIVE_DOORS}),
        ("postback_log_lines_total", {(level,) for level in LEVELS}),
        ("postback_rows_written_total", {(table,) for table in TABLES}),
        (
            "postback_deleted_rows_total",
            {
                *((table, "age") for table in ("conversion", "duplicate", "rejected_postback")),
                *(("rejected_postback", reason) for reason in ("size", "size_known")),
            },
        ),
        ("postback_rejected_bytes", {()}),
        ("postback_conservation_drift", {("arrivals",), ("receipts",), ("spool",)}),
        ("postback_spool_drained_total", {(outcome,) for outcome in DRAINED}),
        *((name, {()}) for name in SPOOL),
        ("postback_sender_received_total", set(product(("ezmob", "unknown"), Family))),
        ("postback_mistakes_total", {(mistake,) for mistake in Mistake}),
        ("postback_test_received_total", {(outcome,) for outcome in Outcome if outcome is not Outcome.UNAUTHENTICATED}),
        ("postback_would_reject_total", {("credentials",)}),
        ("postback_key_expiry_timestamp_seconds", {()}),
        ("postback_log_dropped_total", {()}),
        ("postback_late_commits_total", {()}),
        ("postback_last_stored_timestamp_seconds", {()}),
        ("postback_tls_certificate_expiry_timestamp_seconds", {()}),
    ]
    for name, values in closed:
        assert samples(served.metrics, name, zeros=True) == dict.fromkeys(values, 0.0), name
    floods = samples(served.metrics, "postback_log_rate_limited_total", zeros=True)
    assert floods == dict.fromkeys(bounded_lines(), 0.0)
    errors = samples(served.metrics, "postback_storage_errors_total", zeros=True)
    assert errors[("commit", "SQLITE_FULL")] == errors[("commit", "TIMEOUT")] == errors[("spool", "SPOOL_FULL")] == 0.0


async def test_every_route_starts_at_zero_with_every_answer_it_can_give(served: Served) -> None:
    responses = samples(served.metrics, "postback_http_responses_total", zeros=True)
    assert set(responses.values()) == {0.0}
    routes = {*DOORS, "/healthz", "/readyz", "/metrics"}
    assert {route for route, _, _ in responses} == {*routes, "unmatched", "unparsed"}
    statuses = {str(outcome.status) for outcome in Outcome if outcome is not Outcome.UNKNOWN_PATH}
    for path, method, code in product(POSTBACK_PATHS, ("GET", "POST"), statuses):
        assert (path, method, code) in responses
    pixel = {(method, code) for route, method, code in responses if route == PIXEL_PATH}
    assert pixel == {("GET", "200"), *((method, "405") for method in ("POST", "HEAD", "OPTIONS", "other"))}
    assert ("unmatched", "GET", str(Outcome.UNKNOWN_PATH.status)) in responses
    assert ("/postbacks", "POST", str(Outcome.ILLEGAL_TRANSITION.whole_status)) in responses
    probes = {(route, method, code) for route, method, code in responses if (route, code) == ("/readyz", "503")}
    assert probes == {("/readyz", "GET", "503"), ("/readyz", "HEAD", "503")}
    durations = samples(served.metrics, "postback_http_request_duration_seconds_count", zeros=True)
    assert set(durations) == {(route,) for route in {*DOORS, "/metrics"}}


async def anything(served: Served, number: int) -> Response:
    """Send one of all kinds of requests, with ids, paths, methods, hosts and parameters that never came before."""
    new = secrets.token_hex(8)
    asks: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("GET", f"/postback?c={new}&value={number}", {}),
        ("POST", f"/conversion?c={new}&value=1&{new}={new}", {"user-agent": new}),
        ("GET", f"/pixel.gif?c={new}&value={new}", {"referer": f"https://{new}.example/thanks"}),
        ("GET", f"/postback?c={new}&value={new}&currency={new}", {}),
        ("GET", f"/postback?c={new}&value=1", {"host": f"{new}.example"}),
        ("POST", "/postbacks", {"content-type": f"text/{new}"}),
        (METHODS[number % len(METHODS)], f"/{new}", {}),
        (new.upper(), f"/postback?c={new}", {"traceparent": new}),
        (METHODS[number % len(METHODS)], f"/healthz/{new}", {}),
        (new.upper(), f"/{new}/{new}", {}),
    )
    method, target, headers = asks[number % len(asks)]
    return await served.public.request(method, target, headers=headers)


@pytest.mark.proof
@pytest.mark.slow
async def test_no_request_can_make_a_new_series_after_the_first_scrape(served: Served) -> None:
    await series(served)
    before = await series(served)
    for start in range(0, 10_000, 100):
        await asyncio.gather(*[anything(served, number) for number in range(start, start + 100)])
    assert await series(served) == before
    assert len(before) <= 500
    assert sum(served.counted("postback_arrived_total").values()) >= 5000
