"""Owns the bound on log lines that are all alike: a flood of errors must fill neither the disk nor the reader's screen.

Each (event, outcome) has a bucket of tokens: a burst is written whole, then a steady rate. What is left out is counted
and told in one line; metrics are never sampled, and the postbacks themselves are kept in the database.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

RATE = 100.0  # lines a second of one kind
BURST = 1000.0  # lines of one kind that may come at once


@dataclass(slots=True)
class _Bucket:
    at: float
    tokens: float = BURST
    left_out: int = 0


@dataclass(slots=True)
class FloodBound:
    """Says which lines are written. `on_left_out(event, outcome)` is told of each that is not."""

    on_left_out: Callable[[str, str], None]
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def admits(self, event: str, outcome: str) -> bool:
        """Take a token for a line of this kind; False if there is none. Kinds are few: never what a request says."""
        now = self.clock()
        bucket = self._buckets.get((event, outcome))
        if bucket is None:
            bucket = self._buckets[event, outcome] = _Bucket(now)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) * RATE)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.left_out += 1
            self.on_left_out(event, outcome)
            return False
        bucket.tokens -= 1
        return True

    def take_left_out(self) -> list[tuple[str, str, int]]:
        """Return (event, outcome, lines) for what was left out since the last time."""
        taken = [(*kind, bucket.left_out) for kind, bucket in self._buckets.items() if bucket.left_out]
        for event, outcome, _ in taken:
            self._buckets[event, outcome].left_out = 0
        return taken
