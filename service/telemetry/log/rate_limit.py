"""Owns the rate limit of equal log lines: repeated errors must fill neither the disk nor the reader's screen.

Each (event, outcome) has a token bucket: a burst is written whole, then a steady rate. Dropped lines are counted and
reported in one line; metrics are never sampled, and the postbacks themselves are kept in the database.
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
    limited: int = 0


@dataclass(slots=True)
class LogRateLimit:
    """Decides which lines are written. `on_rate_limited(event, outcome)` is called for each that is not."""

    on_rate_limited: Callable[[str, str], None]
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def admits(self, event: str, outcome: str) -> bool:
        """Take a token for a line of this kind, or return False. Kinds are few: no request can make a new one."""
        now = self.clock()
        bucket = self._buckets.get((event, outcome))
        if bucket is None:
            bucket = self._buckets[event, outcome] = _Bucket(now)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) * RATE)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.limited += 1
            self.on_rate_limited(event, outcome)
            return False
        bucket.tokens -= 1
        return True

    def take_rate_limited(self) -> list[tuple[str, str, int]]:
        """Return (event, outcome, number of lines dropped) since the last call."""
        taken = [(*kind, bucket.limited) for kind, bucket in self._buckets.items() if bucket.limited]
        for event, outcome, _ in taken:
            self._buckets[event, outcome].limited = 0
        return taken
