"""Owns how patiently the drain tries again, and how long it rests."""

import random
from typing import NamedTuple


class Pace(NamedTuple):
    """How patiently the drain tries again. All in seconds but `suspicious`.

    After so many failures in a row the oldest entry itself may be the reason; it was alone in the last ones.
    """

    first_delay: float = 0.1  # between two attempts to reach a database that is away
    longest_delay: float = 2.0
    suspicious: int = 8
    idle: float = 5.0  # between two looks at a spool that nobody put anything into
    passed_over: float = 30.0  # until an entry that could not be moved alone is tried again

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row: twice as long each time, a random half of it."""
        longest: float = min(self.longest_delay, self.first_delay * 2 ** min(failures, 10))
        return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret


PACE = Pace()
