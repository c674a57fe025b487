"""Owns how the spool is shown: its journal's size, and what the books say of its entries."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.metrics_core import Metric

from service.telemetry.metrics import catalogue as declared
from service.telemetry.metrics.books import Books


class Size(Protocol):
    """How large a journal is: bytes, bytes, Unix seconds."""

    @property
    def taken(self) -> int:
        """What it takes."""

    @property
    def capacity(self) -> int:
        """What it may take."""

    @property
    def oldest_at(self) -> float:
        """When its oldest entry came."""


class SizedJournal(Protocol):
    """What a scrape asks of the journal."""

    found: int

    @property
    def broken(self) -> Exception | None:
        """Return the error after which it takes nothing."""

    @property
    def size(self) -> Size:
        """Tell its size when it last changed."""


class OtherJournals(Protocol):
    """What a scrape asks of the journals that no process has."""

    left: int


class SpoolCounts:
    """The spool's counts: all 0 until a journal is watched."""

    def __init__(self, books: Books) -> None:
        self.active = False
        self._books = books
        self._journal: SizedJournal | None = None
        self._others: OtherJournals | None = None

    def watch(self, journal: SizedJournal, others: OtherJournals) -> None:
        """Export the journal's size, and how many entries wait in those that no process has."""
        self._journal = journal
        self._others = others

    @property
    def entries(self) -> int:
        """Return how many entries wait in the own journal: what was found at the start, what came, what left."""
        found = self._journal.found if self._journal else 0
        return found + self._books.appended + self._books.adopted - self._books.removed

    def collect(self) -> Iterator[Metric]:
        """Turn the counts into metric families."""
        journal = self._journal
        yield declared.SPOOL_ACTIVE.of(self.active)
        yield declared.SPOOL_USABLE.of(journal is not None and journal.broken is None)
        yield declared.SPOOL_ENTRIES.of(self.entries + (self._others.left if self._others else 0))
        yield declared.SPOOL_BYTES.of(journal.size.taken if journal else 0)
        yield declared.SPOOL_CAPACITY_BYTES.of(journal.size.capacity if journal else 0)
        yield declared.SPOOL_OLDEST.of(journal.size.oldest_at if journal else 0.0)
        drained = declared.SPOOL_DRAINED.family()
        for outcome in declared.DRAINED:
            drained.add_metric([outcome], self._books.drained[outcome])
        recognised = declared.SPOOL_RECOGNISED.family()
        recognised.add_metric([], self._books.recognised)
        inherited = declared.SPOOL_INHERITED.family()
        inherited.add_metric([], self._books.inherited)
        yield from (drained, recognised, inherited)
