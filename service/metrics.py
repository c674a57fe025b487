"""Owns every metric: its name, help and labels, in one object that owns its registry.

All closed label sets are initialised to 0, so that a rate over a label that never occurred is 0 and not "no data".
Never a label: click id, value, raw path, address, free text.
"""

from collections.abc import Callable
from functools import cache
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.outcome import Family, Outcome
from service.postback import Door
from service.version import VERSION, revision

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
LEVELS = ("debug", "info", "warning", "error", "critical")


class Metrics:
    """The metrics of one process. Callers use the methods; only a scrape reads the registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests_in_flight = 0
        self.last_stored_at = 0.0

        self._received = Counter(
            "postback_received", "Postbacks by door and outcome.", ["door", "outcome"], registry=registry
        )
        self._sender_received = Counter(
            "postback_sender_received",
            "Postbacks by sender and outcome family.",
            ["sender", "family"],
            registry=registry,
        )
        self._responses = Counter(
            "postback_http_responses", "HTTP responses.", ["route", "method", "code"], registry=registry
        )
        self._request_seconds = Histogram(
            "postback_http_request_duration_seconds",
            "Seconds from a request's headers to the end of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._gauge("http_requests_in_flight", "HTTP requests being answered now.", lambda: self.requests_in_flight)
        self._commit_seconds = Histogram(
            "postback_commit_duration_seconds", "Seconds to commit one batch.", buckets=_SECONDS, registry=registry
        )
        self._commit_rows = Histogram(
            "postback_commit_rows", "Postbacks committed together.", buckets=_ROWS, registry=registry
        )
        self._gauge(
            "last_stored_timestamp_seconds", "When a conversion was last stored; 0 before.", lambda: self.last_stored_at
        )
        self._storage_errors = Counter(
            "postback_storage_errors", "Failed storage operations.", ["operation", "error"], registry=registry
        )
        self._log_lines = Counter("postback_log_lines", "Log lines written.", ["level"], registry=registry)
        self._log_dropped = Counter("postback_log_dropped", "Log lines lost to a blocked output.", registry=registry)
        build = Gauge("postback_build_info", "Always 1.", ["version", "revision"], registry=registry)
        build.labels(VERSION, revision()).set(1)
        self._initialise()
        self._cache_children()

    def watch_queue(self, depth: Callable[[], int], oldest: Callable[[], float], capacity: int) -> None:
        """Export the writer's queue: its length, when its oldest entry came (Unix seconds, 0 if empty), its bound."""
        self._gauge("queue_depth", "Postbacks waiting for a commit.", depth)
        self._gauge("queue_capacity", "Postbacks that may wait before more are refused.", lambda: capacity)
        self._gauge(
            "oldest_queued_timestamp_seconds", "When the oldest waiting postback came; 0 if none waits.", oldest
        )

    def count_received(self, door: Door, outcome: Outcome, sender: str) -> None:
        """Count one postback's outcome, once."""
        self._received_child(door, outcome).inc()
        self._sender_child(sender, outcome.family).inc()

    def count_response(self, route: str, method: str, code: int, seconds: float) -> None:
        """Count one finished HTTP response and how long it took."""
        self._response_child(route, method if method in _METHODS else "other", code).inc()
        self._request_child(route).observe(seconds)

    def observe_commit(self, seconds: float, rows: int) -> None:
        """Count one committed batch."""
        self._commit_seconds.observe(seconds)
        self._commit_rows.observe(rows)

    def count_storage_error(self, operation: str, error: str) -> None:
        """Count one failed storage operation; `error` is a class of errors (SQLITE_FULL), never its message."""
        self._storage_errors.labels(operation, error).inc()

    def count_log_line(self, level: str) -> None:
        """Count one log line."""
        self._log_child(level).inc()

    def count_log_dropped(self, lines: int) -> None:
        """Count log lines that were lost."""
        self._log_dropped.inc(lines)

    def _gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        Gauge(f"postback_{name}", documentation, registry=self.registry).set_function(read)

    def _initialise(self) -> None:
        for outcome in Outcome:
            for door in get_args(Door):
                self._received.labels(door, outcome.value)
        for level in LEVELS:
            self._log_lines.labels(level)

    def _cache_children(self) -> None:
        """Look each label combination up once: `labels()` costs more than three increments."""
        self._received_child = cache(lambda door, outcome: self._received.labels(door, outcome.value))
        self._sender_child = cache(self._initialised_sender)
        self._response_child = cache(self._responses.labels)
        self._request_child = cache(self._request_seconds.labels)
        self._log_child = cache(self._log_lines.labels)

    def _initialised_sender(self, sender: str, family: Family) -> Counter:
        for other in Family:
            self._sender_received.labels(sender, other.value)
        return self._sender_received.labels(sender, family.value)
