"""Owns the declaration of every metric: its name, type, labels and meaning, for the page, the docs and the dashboards.

A name, once released, is never changed: other people's dashboards and alerts rely on it.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Literal

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from service.core.outcome import OF_ANYBODY, Outcome
from service.core.postback import BATCH_PATH, DOORS, HEALTH_PATH, PIXEL_PATH, POSTBACK_PATHS
from service.core.unavailable import ErrorKind


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric, under the name that queries use."""

    kind: ClassVar[Literal["counter", "gauge", "histogram"]]
    name: str
    labels: tuple[str, ...]
    help: str


class CounterOf(Declared):
    """A counter: it starts at 0 with the process and only grows."""

    kind = "counter"

    def family(self) -> CounterMetricFamily:
        """Return the empty family."""
        return CounterMetricFamily(self.name.removesuffix("_total"), self.help, labels=self.labels)


class GaugeOf(Declared):
    """A gauge: what is so now."""

    kind = "gauge"

    def family(self) -> GaugeMetricFamily:
        """Return the empty family."""
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)

    def of(self, value: float) -> GaugeMetricFamily:
        """Return the family of a gauge without labels, with its value."""
        family = self.family()
        family.add_metric([], value)
        return family


class HistogramOf(Declared):
    """A histogram: how many observations, and how many up to each bound."""

    kind = "histogram"

    def family(self) -> HistogramMetricFamily:
        """Return the empty family."""
        return HistogramMetricFamily(self.name, self.help, labels=self.labels)


def _counter(name: str, labels: str, meaning: str) -> CounterOf:
    return CounterOf(f"postback_{name}_total", tuple(labels.split()), meaning)


def _gauge(name: str, labels: str, meaning: str) -> GaugeOf:
    return GaugeOf(f"postback_{name}", tuple(labels.split()), meaning)


def _histogram(name: str, labels: str, meaning: str) -> HistogramOf:
    return HistogramOf(f"postback_{name}", tuple(labels.split()), meaning)


ARRIVED = _counter("arrived", "door", "Postbacks that came in at a door; each gets one outcome.")
IN_PROGRESS = _gauge("in_progress", "", "Postbacks that came in and have no outcome yet.")
RECEIVED = _counter("received", "door outcome", "Postbacks by their one outcome, counted when it is known.")
MISTAKES = _counter(
    "mistakes",
    "mistake",
    "Mistakes of senders seen in postbacks: what was wrong in rejected ones, and odd in others.",
)
SENDER_RECEIVED = _counter("sender_received", "sender family", "The same by sender and family of outcome.")
TEST_RECEIVED = _counter(
    "test_received",
    "outcome",
    "Test postbacks by outcome: they are rows like others, and in no other count of postbacks.",
)
WOULD_REJECT = _counter(
    "would_reject", "check", "Postbacks that failed a check which their sender has as report-only; they were accepted."
)
ROWS_WRITTEN = _counter(
    "rows_written", "table", "Rows that the database (or the spool) says it inserted for postbacks."
)
NOT_KEPT = _counter(
    "not_kept",
    "reason",
    "Rejected postbacks that the book of deletions counts, and of which no input is kept. sampled, strangers_full: of "
    "nobody known, more than their share. sender_full: of a known sender.",
)
LATE_COMMITS = _counter(
    "late_commits", "", "Rows that became durable after their commit was given up (503, or spooled)."
)
CONSERVATION_DRIFT = _gauge(
    "conservation_drift",
    "check",
    "Must be 0, tests included. arrivals: arrived - in progress - outcomes. receipts: outcomes that promise a row, and "
    "entries drained into another, - rows written - not kept. spool: entries drained - entries that left the journal.",
)
LAST_STORED = _gauge("last_stored_timestamp_seconds", "", "When a conversion was last stored (Unix time); 0 before.")
READY = _gauge("ready", "", "1 if a commit worked in the last seconds, else 0. A probe commits when nobody else does.")

HTTP_RESPONSES = _counter(
    "http_responses",
    "route method code",
    "HTTP answers. Route unmatched: no such path, or a postback that missed its door; unparsed: no whole request.",
)
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds", "route", "Seconds from a request's headers to the end of its answer."
)
HTTP_IN_FLIGHT = _gauge("http_requests_in_flight", "", "HTTP requests being answered now.")
CONNECTIONS = _gauge(
    "connections",
    "client",
    "Open connections of the public listener, by whether their client has shown a good credential: known or stranger.",
)
CONNECTIONS_CAPACITY = _gauge(
    "connections_capacity", "", "Connections that may be open at once; half of the places are kept for known clients."
)
BATCH_ROOM_BYTES = _gauge(
    "batch_room_bytes",
    "room",
    "Bytes of batches that are here. known: of known senders. unproven: read to see who signed them.",
)
BATCH_ROOM_CAPACITY_BYTES = _gauge("batch_room_capacity_bytes", "room", "Bytes of batches that may be here.")

QUEUE_DEPTH = _gauge("queue_depth", "", "Postbacks waiting for a commit.")
QUEUE_CAPACITY = _gauge("queue_capacity", "", "Postbacks that may wait before more are refused as overloaded.")
OLDEST_QUEUED = _gauge(
    "oldest_queued_timestamp_seconds", "", "When the oldest waiting postback came (Unix time); 0 if none waits."
)
COMMIT_SECONDS = _histogram("commit_duration_seconds", "", "Seconds to commit one batch, the disk's part included.")
COMMIT_ROWS = _histogram("commit_rows", "", "Postbacks committed together.")
STORAGE_ERRORS = _counter(
    "storage_errors", "operation error", "Failed storage operations; error is a class such as SQLITE_FULL or TIMEOUT."
)
STORAGE_FILE_BYTES = _gauge("storage_file_bytes", "file", "Size of the database file and of its write-ahead log.")
STORAGE_FREE_BYTES = _gauge("storage_free_bytes", "", "Bytes still free where the database lives.")
STORAGE_CAPACITY_BYTES = _gauge("storage_capacity_bytes", "", "Size of the file system where the database lives.")

SPOOL_ACTIVE = _gauge("spool_active", "", "1 while the database is away and newcomers go to the spool at once, else 0.")
SPOOL_USABLE = _gauge("spool_usable", "", "1 while the spool can take postbacks, 0 after an I/O error and without one.")
SPOOL_ENTRIES = _gauge(
    "spool_entries",
    "",
    "Postbacks that wait in the spool for the database: in this process's journal, and in those of its directory that "
    "no process has.",
)
SPOOL_BYTES = _gauge("spool_bytes", "", "Bytes that they take.")
SPOOL_CAPACITY_BYTES = _gauge("spool_capacity_bytes", "", "Bytes that they may take; 0 without a spool.")
SPOOL_OLDEST = _gauge(
    "spool_oldest_timestamp_seconds", "", "When the oldest of them came (Unix time); 0 if none waits."
)
SPOOL_DRAINED = _counter(
    "spool_drained",
    "outcome",
    "Entries moved from the spool to the database, by what became of them there. erased: no row, see the book.",
)
SPOOL_RECOGNISED = _counter(
    "spool_recognised", "", "Those of them whose row was there already: its commit had worked, its answer was lost."
)
SPOOL_INHERITED = _counter("spool_inherited", "", "Those of them that an earlier process had spooled.")

DELETED_ROWS = _counter(
    "deleted_rows",
    "table reason",
    "Rows that retention deleted. age: older than is kept. size: rejections beyond their part of REJECTED_MAX_BYTES; "
    "size_known: the same of known senders, never replayed.",
)
REJECTED_BYTES = _gauge("rejected_bytes", "", "Bytes that kept rejections take, measured every few seconds.")
REJECTED_CAPACITY_BYTES = _gauge("rejected_capacity_bytes", "", "Bytes that they may take before the oldest go.")
RETENTION_CLOCK_SUSPECT = _gauge(
    "retention_clock_suspect",
    "",
    "1 while nothing is deleted because the clock is far ahead of when it was last believed, else 0.",
)

EVENT_LOOP_LAG = _histogram(
    "event_loop_lag_seconds", "", "How much later than due a timer ran, tried four times a second."
)
CERTIFICATE_EXPIRY = _gauge(
    "tls_certificate_expiry_timestamp_seconds", "", "When the served TLS certificate ends (Unix time); 0 without TLS."
)
KEY_EXPIRY = _gauge(
    "key_expiry_timestamp_seconds", "", "When the first of the live API keys expires (Unix time); 0 if none does."
)
LOG_LINES = _counter("log_lines", "level", "Log lines made, whether or not they could be written.")
LOG_DROPPED = _counter("log_dropped", "", "Those of them that were not written: output blocked, or too many alike.")
LOG_RATE_LIMITED = _counter(
    "log_rate_limited", "event outcome", "Those not written because too many alike came in a second."
)
WORKER_RESTARTS = _counter(
    "worker_restarts",
    "",
    "Deaths of the worker on this operator port, each followed by a new start; not the planned ones.",
)
BUILD_INFO = _gauge("build_info", "version revision", "Always 1.")

CATALOGUE = tuple(declared for declared in list(globals().values()) if isinstance(declared, Declared))

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # every answer comes within two
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
LEVELS = ("debug", "info", "warning", "error", "critical")
TABLES = ("conversion", "status_change", "duplicate", "rejected_postback", "spool")
DELETED = (
    *(("conversion", "age"), ("duplicate", "age")),
    *(("rejected_postback", reason) for reason in ("age", "size", "size_known")),
)
DRAINED = ("stored", "updated", "duplicate", "conflict", "illegal_transition", "invalid_status", "rejected", "erased")
BATCH_ROOMS = ("known", "unproven")
LIVE_DOORS = tuple(dict.fromkeys(DOORS.values()))  # import and replay are commands: no series of theirs could rise
SENDERS = ("ezmob", "unknown")
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "other")  # of the rest nobody needs to know which
SENDING_METHODS = ("GET", "POST", "other")  # of a path that there is not
UNMATCHED, UNPARSED = "unmatched", "unparsed"
SINGLE_ROUTES = (*POSTBACK_PATHS, PIXEL_PATH)  # of one postback each: the objective of latency is theirs
ROUTES = (*DOORS, HEALTH_PATH, "/readyz", "/metrics", UNMATCHED)
TIMED_ROUTES = (*DOORS, "/metrics")  # of the others nobody needs to know how long they take
_COMMIT_KINDS = {
    *(ErrorKind.TIMEOUT, ErrorKind.MOVED, ErrorKind.SQLITE_BUSY, ErrorKind.SQLITE_FULL, ErrorKind.SQLITE_IOERR),
    *(ErrorKind.SQLITE_READONLY, ErrorKind.SQLITE_CORRUPT),
}
STORAGE_KINDS = tuple(kind.value for kind in ErrorKind if kind in _COMMIT_KINDS or kind.startswith("PG_"))
SPOOL_KINDS = ("TIMEOUT", "MOVED", "SPOOL_FULL", "SQLITE_FULL", "SQLITE_IOERR")


def expected_responses() -> list[tuple[str, str, int]]:
    """Return every (route, method, code) that a request can bring about, so that each starts at 0."""
    doors = [outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN_PATH]
    statuses = sorted({outcome.status for outcome in doors})
    postbacks = [(path, method, code) for path in POSTBACK_PATHS for method in ("GET", "POST") for code in statuses]
    whole = sorted({HTTPStatus.OK, HTTPStatus.MULTI_STATUS, *(outcome.whole_status for outcome in doors)})
    postbacks += [(BATCH_PATH, "POST", code) for code in whole]
    probed = [(route, method) for route in (HEALTH_PATH, "/readyz") for method in ("GET", "HEAD")]
    shown = [(route, method, 200) for route, method in [(PIXEL_PATH, "GET"), ("/metrics", "GET"), *probed]]
    shown += [("/readyz", method, 503) for method in ("GET", "HEAD")]
    answered = {(route, method) for route, method, _ in [*postbacks, *shown]}
    wrong = [(route, method, 405) for route in ROUTES[:-1] for method in METHODS if (route, method) not in answered]
    strays = sorted({404, 405, *(outcome.status for outcome in OF_ANYBODY - {Outcome.UNAUTHENTICATED})})
    missing = [(UNMATCHED, method, status) for method in SENDING_METHODS for status in strays]
    unparsed = [(UNPARSED, "other", code) for code in (400, 408, 431, 503)]
    return [*postbacks, *shown, *wrong, *missing, *unparsed]


def expected_errors() -> list[tuple[str, str]]:
    """Return every (operation, error) that is expected of storage, so that each starts at 0."""
    return [*(("commit", kind) for kind in STORAGE_KINDS), *(("spool", kind) for kind in SPOOL_KINDS)]


def expected_floods() -> list[tuple[str, str]]:
    """Return every (event, outcome) whose lines may come too thick, so that each starts at 0."""
    postbacks = [("postback", outcome.value) for outcome in Outcome if outcome.level != "info"]
    return [*postbacks, ("unexpected_error", ""), ("library", "")]


def markdown_table() -> str:
    """Return the table of docs/metrics.md."""
    rows = [f"| `{it.name}` | {it.kind} | {', '.join(it.labels)} | {it.help} |" for it in CATALOGUE]
    return "\n".join(["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows])
