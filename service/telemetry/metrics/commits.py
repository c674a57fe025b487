"""Owns what a writer counts, before the database and before the spool's journal: the same books for both."""

from collections.abc import Mapping
from typing import Protocol

from service.telemetry.metrics.counts import Metrics, Queue


class CommitCounts(Protocol):
    """Where a writer counts: Metrics, or the spool's part of them."""

    def watch_queue(self, queue: Queue, /) -> None:
        """Export the queue."""

    def count_commit(self, seconds: float, rows: int, /) -> None:
        """Count one committed batch."""

    def count_rows(self, written: Mapping[str, int], /) -> None:
        """Count the rows inserted, by table."""

    def count_late(self, rows: int, /) -> None:
        """Count rows that became durable after their writer was given up."""

    def count_recognised(self, entries: int, /) -> None:
        """Count entries whose row was there already."""

    def count_not_kept(self, entries: Mapping[str, int], /) -> None:
        """Count rejections that are counted in the database and not kept, by why."""

    def count_storage_error(self, operation: str, error: str, /) -> None:
        """Count one failed batch by its class of errors."""


class JournalCounts:
    """What the writer before the journal counts: the same books, and none of what is the database's own."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def watch_queue(self, queue: Queue) -> None:
        """Leave the database's queue exported."""

    def count_commit(self, seconds: float, rows: int) -> None:
        """Leave the database's commits alone in their histograms."""

    def count_rows(self, written: Mapping[str, int]) -> None:
        """Count what was appended."""
        self._metrics.count_rows(written)
        self._metrics.books.appended += sum(written.values())

    def count_late(self, rows: int) -> None:
        """Count what was appended after all."""
        self._metrics.count_late(rows)

    def count_recognised(self, entries: int) -> None:
        """Count nothing: no entry is appended twice."""

    def count_not_kept(self, entries: Mapping[str, int]) -> None:
        """Count nothing: a journal keeps all that it takes."""

    def count_storage_error(self, _operation: str, error: str) -> None:
        """Count a failed append."""
        self._metrics.count_storage_error("spool", error)
