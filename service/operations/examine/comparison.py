"""Owns one comparison of counters with rows: the two readings of the counters, and what may differ between them."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.batch import MAX_ATOMIC_ROWS
from service.operations.examine.operator_listener import Scrape
from service.storage.audit import TABLES, Counts
from service.storage.ledger import MAX_BATCH
from service.telemetry.metrics import catalogue


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of one moment, and the counters shortly before and after it; both None without a process."""

    counts: Mapping[str, Counts]
    before: Scrape | None
    after: Scrape | None
    waiting: Mapping[str, int]  # entries of this process in the spool, by the outcome that was answered

    def drift(self, rows: int, *names: str, **labels: str) -> tuple[int, int]:
        """Return the bounds of (rows - counters): 0 lies between them when all is well.

        What is in progress may be durable already, and not yet counted; and so may what is on its way out of the spool.
        Rows that were inherited from an earlier process's spool are counted, and are not of this process.
        """
        if self.before is None or self.after is None:
            return 0, 0
        least, most = (sum(scrape.total(name, **labels) for name in names) for scrape in (self.before, self.after))
        moving = self.after.total(catalogue.SPOOL_DRAINED.name) - self.before.total(catalogue.SPOOL_DRAINED.name)
        moving += min(MAX_BATCH, self.after.total(catalogue.SPOOL_ENTRIES.name))
        recognised, inherited = (
            self.after.total(it.name) for it in (catalogue.SPOOL_RECOGNISED, catalogue.SPOOL_INHERITED)
        )
        most += self.after.total(catalogue.IN_PROGRESS.name) + moving + recognised
        return rows - int(most), rows - int(least - inherited)

    def width(self) -> int:
        """Return how many rows may have been written while the counters were read."""
        bounds = [self.drift(0, catalogue.ROWS_WRITTEN.name, table=table) for table in TABLES]
        return max(high - low for low, high in bounds)

    def excess(self) -> int:
        """Return how many rows may be there that no outcome promised: late commits, and failed ones."""
        if self.after is None:
            return 0
        failed = self.after.total(catalogue.STORAGE_ERRORS.name)
        return int(self.after.total(catalogue.LATE_COMMITS.name) + failed * MAX_ATOMIC_ROWS)
