"""Owns what is counted: the state behind every metric of one process, and how it becomes metric families.

What every postback touches is counted in plain integers and turned into families at the scrape: the client library's
locked counters would cost a tenth of a request. All counting is done on the event loop, and so is `collect`: one moment
for all of them, so that conservation is exact. Closed label sets start at 0, so that a rate over a label that never
occurred is 0 and not "no data". Never a label: click id, value, raw path, address, free text.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar

from service.core.keeping import NotKept
from service.core.outcome import Family, Mistake, Outcome
from service.core.postback import Door
from service.core.roster import CHECKS, Check
from service.core.version import VERSION, revision
from service.telemetry.metrics import catalogue as declared
from service.telemetry.metrics.books import Books
from service.telemetry.metrics.distribution import Distribution
from service.telemetry.metrics.room import Places, RoomGauges
from service.telemetry.metrics.spool import SpoolCounts

_SLOW_SECONDS = 0.05  # a request that took longer leaves an exemplar


class Space(NamedTuple):
    """Bytes of the database's files and of the file system they live on."""

    database: int = 0
    wal: int = 0
    free: int = 0
    capacity: int = 0


class Queue(NamedTuple):
    """How to read the writer's queue: its length, when its oldest entry came (Unix seconds, 0 if empty), its bound."""

    depth: Callable[[], int]
    oldest: Callable[[], float]
    capacity: int


def ids(trace_id: str, request_id: str, observed: float = 1.0) -> Exemplar:
    """Return the exemplar that leads from a number to a log line and a stored row; `observed` is what was counted."""
    return Exemplar({"trace_id": trace_id, "request_id": request_id}, observed, time.time())


class Metrics:
    """The metrics of one process. `collect` gives ours, on the event loop; `library` the process's, on any thread."""

    def __init__(self) -> None:
        self.library = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.library)
        self.books = Books()
        self.mistakes: Tally[Mistake] = Tally()
        self.exemplars: dict[tuple[Door, Outcome], Exemplar] = {}  # the last of each that is noteworthy
        self.spool = SpoolCounts(self.books)
        self.room = RoomGauges()
        self.requests_in_flight = 0
        self.last_stored_at = 0.0
        self.ready = False
        self.space = Space()
        self.rejected_bytes = 0
        self.rejected_capacity_bytes = 0
        self.retention_clock_suspect = False
        self.certificate_expires_at = 0.0
        self.key_expires_at = 0.0
        self.senders: frozenset[str] = frozenset()  # who is registered: each starts at 0
        self.report_only: frozenset[Check] = frozenset()  # what somebody has as report-only: the same
        self.would_reject: Tally[Check] = Tally()
        self.worker_restarts = 0
        self.event_loop_lag = Distribution(declared.SECONDS)
        self._responses = dict.fromkeys(declared.expected_responses(), 0)
        self._request_seconds = {route: Distribution(declared.SECONDS) for route in declared.TIMED_ROUTES}
        self._commit_seconds = Distribution(declared.SECONDS)
        self._commit_rows = Distribution(declared.ROWS)
        self._storage_errors: Tally[tuple[str, str]] = Tally(dict.fromkeys(declared.expected_errors(), 0))
        self._deleted: Tally[tuple[str, str]] = Tally()
        self._log_lines = dict.fromkeys(declared.LEVELS, 0)
        self._log_lock = Lock()  # lines are dropped on the log's thread as well
        self._log_dropped = 0
        self._log_rate_limited: Tally[tuple[str, str]] = Tally(dict.fromkeys(declared.expected_floods(), 0))
        self._queue = Queue(int, float, 0)

    def watch_queue(self, queue: Queue) -> None:
        """Export the writer's queue."""
        self._queue = queue

    def watch_places(self, places: Places) -> None:
        """Export the places of the public listener's connections."""
        self.room.places = places

    def count_response(self, route: str, method: str, code: int, seconds: float, scope: Mapping[str, object]) -> None:
        """Count one finished HTTP response and how long it took; `scope` has the ids of a slow one."""
        try:
            self._responses[route, method, code] += 1
        except KeyError:
            named = declared.SENDING_METHODS if route == declared.UNMATCHED else declared.METHODS
            kind = (route, method if method in named else "other", code)
            self._responses[kind] = self._responses.get(kind, 0) + 1
        timed = self._request_seconds.get(route)
        if timed:
            slow = ids(str(scope["trace_id"]), str(scope["request_id"]), seconds) if seconds > _SLOW_SECONDS else None
            timed.observe(seconds, slow)

    def count_unparsed(self, code: int) -> None:
        """Count one answer to what no application saw, since it was no request or never became one."""
        kind = (declared.UNPARSED, "other", code)
        self._responses[kind] = self._responses.get(kind, 0) + 1

    def count_commit(self, seconds: float, rows: int) -> None:
        """Count one committed batch."""
        self._commit_seconds.observe(seconds)
        self._commit_rows.observe(rows)

    def count_rows(self, written: Mapping[str, int]) -> None:
        """Count what the database says it inserted, by table."""
        self.books.rows.update(written)

    def count_late(self, rows: int) -> None:
        """Count rows that became durable after their writer was given up."""
        self.books.late += rows

    def count_recognised(self, entries: int) -> None:
        """Count spooled entries whose row was in the database already."""
        self.books.recognised += entries

    def count_not_kept(self, entries: Mapping[str, int]) -> None:
        """Count rejections that are counted in the database and not kept, by why."""
        self.books.not_kept.update(entries)

    def count_storage_error(self, operation: str, error: str) -> None:
        """Count one failed storage operation; `error` is a class of errors (SQLITE_FULL), never its message."""
        self._storage_errors[operation, error] += 1

    def count_deleted(self, table: str, reason: str, rows: int) -> None:
        """Count rows that retention deleted."""
        self._deleted[table, reason] += rows

    def count_log_lines(self, level: str, lines: int) -> None:
        """Count log lines."""
        self._log_lines[level] += lines

    def count_log_dropped(self, lines: int) -> None:
        """Count log lines that were lost."""
        with self._log_lock:
            self._log_dropped += lines

    def count_log_rate_limited(self, event: str, outcome: str) -> None:
        """Count one log line that was left out because too many like it came."""
        self._log_rate_limited[event, outcome] += 1
        self.count_log_dropped(1)

    def collect(self) -> Iterator[Metric]:
        """Turn the counts into metric families; on the event loop, in one go."""
        yield from self._collect_postbacks()
        yield from self._collect_conservation()
        yield from self._collect_http()
        yield from self.room.collect()
        yield from self._collect_storage()
        yield from self.spool.collect()
        yield from self._collect_process()

    def _collect_postbacks(self) -> Iterator[Metric]:
        arrived = declared.ARRIVED.family()
        received = declared.RECEIVED.family()
        senders = declared.SENDER_RECEIVED.family()
        by_outcome: Tally[tuple[Door, Outcome]] = Tally()
        by_sender: Tally[tuple[str, Family]] = Tally()
        for (door, outcome, sender), count in self.books.received.items():
            by_outcome[door, outcome] += count
            by_sender[sender, outcome.family] += count
        for door in declared.LIVE_DOORS:
            arrived.add_metric([door], self.books.arrived[door])
            for outcome in Outcome:
                exemplar = self.exemplars.get((door, outcome))
                received.add_metric([door, outcome.value], by_outcome[door, outcome], exemplar=exemplar)
        for sender in sorted({*declared.SENDERS, *self.senders, *(sender for sender, _ in by_sender)}):
            for family in Family:
                senders.add_metric([sender, family.value], by_sender[sender, family])
        yield from (arrived, received, senders)
        yield from self._collect_asides()

    def _collect_asides(self) -> Iterator[Metric]:
        """Turn into families what is told of postbacks beside their outcome; a stranger's is never a test."""
        mistakes = declared.MISTAKES.family()
        for mistake in Mistake:
            mistakes.add_metric([mistake.value], self.mistakes[mistake])
        tests = declared.TEST_RECEIVED.family()
        for outcome in (outcome for outcome in Outcome if outcome is not Outcome.UNAUTHENTICATED):
            tests.add_metric([outcome.value], self.books.tests[outcome])
        reported = declared.WOULD_REJECT.family()
        for check in (check for check in CHECKS if check == CHECKS[0] or check in self.report_only):
            reported.add_metric([check], self.would_reject[check])
        yield from (mistakes, tests, reported)

    def _collect_conservation(self) -> Iterator[Metric]:
        """Law 5, as sums that must be 0 at any moment between two turns of the event loop."""
        drift = declared.CONSERVATION_DRIFT.family()
        for check, sum_of_it in self.books.drift.items():
            drift.add_metric([check], sum_of_it)
        rows = declared.ROWS_WRITTEN.family()
        for table in declared.TABLES:
            rows.add_metric([table], self.books.rows[table])
        late = declared.LATE_COMMITS.family()
        late.add_metric([], self.books.late)
        not_kept = declared.NOT_KEPT.family()
        for reason in NotKept:
            not_kept.add_metric([reason.value], self.books.not_kept[reason.value])
        yield from (drift, rows, not_kept, late, declared.IN_PROGRESS.of(self.books.in_progress))
        yield declared.LAST_STORED.of(self.last_stored_at)
        yield declared.READY.of(self.ready)

    def _collect_http(self) -> Iterator[Metric]:
        responses = declared.HTTP_RESPONSES.family()
        for (route, method, code), count in self._responses.items():
            responses.add_metric([route, method, str(code)], count)
        seconds = declared.HTTP_SECONDS.family()
        for route, distribution in self._request_seconds.items():
            distribution.add_to(seconds, [route])
        yield from (responses, seconds, declared.HTTP_IN_FLIGHT.of(self.requests_in_flight))

    def _collect_storage(self) -> Iterator[Metric]:
        yield declared.QUEUE_DEPTH.of(self._queue.depth())
        yield declared.QUEUE_CAPACITY.of(self._queue.capacity)
        yield declared.OLDEST_QUEUED.of(self._queue.oldest())
        yield self._commit_seconds.add_to(declared.COMMIT_SECONDS.family())
        yield self._commit_rows.add_to(declared.COMMIT_ROWS.family())
        errors = declared.STORAGE_ERRORS.family()
        for operation_and_error, count in self._storage_errors.items():
            errors.add_metric(operation_and_error, count)
        files = declared.STORAGE_FILE_BYTES.family()
        files.add_metric(["database"], self.space.database)
        files.add_metric(["wal"], self.space.wal)
        yield from (errors, files)
        deleted = declared.DELETED_ROWS.family()
        for table_and_reason in declared.DELETED:
            deleted.add_metric(table_and_reason, self._deleted[table_and_reason])
        yield deleted
        yield declared.REJECTED_BYTES.of(self.rejected_bytes)
        yield declared.REJECTED_CAPACITY_BYTES.of(self.rejected_capacity_bytes)
        yield declared.RETENTION_CLOCK_SUSPECT.of(self.retention_clock_suspect)
        yield declared.STORAGE_FREE_BYTES.of(self.space.free)
        yield declared.STORAGE_CAPACITY_BYTES.of(self.space.capacity)

    def _collect_process(self) -> Iterator[Metric]:
        yield self.event_loop_lag.add_to(declared.EVENT_LOOP_LAG.family())
        yield declared.CERTIFICATE_EXPIRY.of(self.certificate_expires_at)
        yield declared.KEY_EXPIRY.of(self.key_expires_at)
        lines = declared.LOG_LINES.family()
        for level in declared.LEVELS:
            lines.add_metric([level], self._log_lines[level])
        dropped = declared.LOG_DROPPED.family()
        dropped.add_metric([], self._log_dropped)
        limited = declared.LOG_RATE_LIMITED.family()
        for event_and_outcome, count in list(self._log_rate_limited.items()):
            limited.add_metric(event_and_outcome, count)
        restarts = declared.WORKER_RESTARTS.family()
        restarts.add_metric([], self.worker_restarts)
        build = declared.BUILD_INFO.family()
        build.add_metric([VERSION, revision()], 1)
        yield from (lines, dropped, limited, restarts, build)
