"""Owns every metric: its name, help and labels, in one object that owns its registry.

What every postback touches is counted in plain integers and turned into metric families at the scrape: the client
library's locked counters would cost a tenth of a request. All closed label sets start at 0, so that a rate over a label
that never occurred is 0 and not "no data". Never a label: click id, value, raw path, address, free text.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from service.outcome import Family, Outcome
from service.postback import Door
from service.version import VERSION, revision

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
LEVELS = ("debug", "info", "warning", "error", "critical")


class Distribution:
    """A histogram's state: how many observations fell into each bucket, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Write the cumulative buckets into a family."""
        total, buckets = 0, []
        for bound, count in zip([*map(str, self._bounds), "+Inf"], list(self._counts), strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets, self._sum)


class Metrics:
    """The metrics of one process. Callers use the methods; only a scrape reads the registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests_in_flight = 0
        self.last_stored_at = 0.0
        self._received: Tally[tuple[Door, Outcome, str]] = Tally()
        self._responses: Tally[tuple[str, str, int]] = Tally()
        self._request_seconds: dict[str, Distribution] = {}
        self._commit_seconds = Distribution(_SECONDS)
        self._commit_rows = Distribution(_ROWS)
        self._log_lines: Tally[str] = Tally()

        self._gauge("http_requests_in_flight", "HTTP requests being answered now.", lambda: self.requests_in_flight)
        self._gauge(
            "last_stored_timestamp_seconds", "When a conversion was last stored; 0 before.", lambda: self.last_stored_at
        )
        self._storage_errors = Counter(
            "postback_storage_errors", "Failed storage operations.", ["operation", "error"], registry=registry
        )
        self._log_dropped = Counter("postback_log_dropped", "Log lines lost to a blocked output.", registry=registry)
        build = Gauge("postback_build_info", "Always 1.", ["version", "revision"], registry=registry)
        build.labels(VERSION, revision()).set(1)
        registry.register(self)

    def watch_queue(self, depth: Callable[[], int], oldest: Callable[[], float], capacity: int) -> None:
        """Export the writer's queue: its length, when its oldest entry came (Unix seconds, 0 if empty), its bound."""
        self._gauge("queue_depth", "Postbacks waiting for a commit.", depth)
        self._gauge("queue_capacity", "Postbacks that may wait before more are refused.", lambda: capacity)
        self._gauge(
            "oldest_queued_timestamp_seconds", "When the oldest waiting postback came; 0 if none waits.", oldest
        )

    def count_received(self, door: Door, outcome: Outcome, sender: str) -> None:
        """Count one postback's outcome, once."""
        self._received[door, outcome, sender] += 1

    def count_response(self, route: str, method: str, code: int, seconds: float) -> None:
        """Count one finished HTTP response and how long it took."""
        self._responses[route, method if method in _METHODS else "other", code] += 1
        distribution = self._request_seconds.get(route)
        if distribution is None:
            distribution = self._request_seconds[route] = Distribution(_SECONDS)
        distribution.observe(seconds)

    def observe_commit(self, seconds: float, rows: int) -> None:
        """Count one committed batch."""
        self._commit_seconds.observe(seconds)
        self._commit_rows.observe(rows)

    def count_storage_error(self, operation: str, error: str) -> None:
        """Count one failed storage operation; `error` is a class of errors (SQLITE_FULL), never its message."""
        self._storage_errors.labels(operation, error).inc()

    def count_log_line(self, level: str) -> None:
        """Count one log line."""
        self._log_lines[level] += 1

    def count_log_dropped(self, lines: int) -> None:
        """Count log lines that were lost."""
        self._log_dropped.inc(lines)

    def collect(self) -> Iterator[Metric]:
        """Turn the plain counts into metric families (called by the registry, on a scrape)."""
        yield from self._collect_postbacks()
        yield from self._collect_http()
        yield from self._collect_commits()
        lines = CounterMetricFamily("postback_log_lines", "Log lines written.", labels=["level"])
        for level in LEVELS:
            lines.add_metric([level], self._log_lines[level])
        yield lines

    def _collect_postbacks(self) -> Iterator[Metric]:
        counts = list(self._received.items())
        received = CounterMetricFamily(
            "postback_received", "Postbacks by door and outcome.", labels=["door", "outcome"]
        )
        for door in get_args(Door):
            for outcome in Outcome:
                total = sum(count for (d, o, _), count in counts if (d, o) == (door, outcome))
                received.add_metric([door, outcome.value], total)
        yield received
        senders = CounterMetricFamily(
            "postback_sender_received", "Postbacks by sender and outcome family.", labels=["sender", "family"]
        )
        for sender in sorted({key[2] for key, _ in counts}):
            for family in Family:
                total = sum(count for (_, o, s), count in counts if (s, o.family) == (sender, family))
                senders.add_metric([sender, family.value], total)
        yield senders

    def _collect_http(self) -> Iterator[Metric]:
        responses = CounterMetricFamily(
            "postback_http_responses", "HTTP responses.", labels=["route", "method", "code"]
        )
        for (route, method, code), count in list(self._responses.items()):
            responses.add_metric([route, method, str(code)], count)
        yield responses
        seconds = HistogramMetricFamily(
            "postback_http_request_duration_seconds",
            "Seconds from a request's headers to the end of its response.",
            labels=["route"],
        )
        for route, distribution in list(self._request_seconds.items()):
            distribution.add_to(seconds, [route])
        yield seconds

    def _collect_commits(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily("postback_commit_duration_seconds", "Seconds to commit one batch.", labels=[])
        self._commit_seconds.add_to(seconds, [])
        yield seconds
        rows = HistogramMetricFamily("postback_commit_rows", "Postbacks committed together.", labels=[])
        self._commit_rows.add_to(rows, [])
        yield rows

    def _gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        Gauge(f"postback_{name}", documentation, registry=self.registry).set_function(read)
