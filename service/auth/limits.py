"""Owns rate limits: a token bucket for each sender, and for each unauthenticated address.

A bucket is one number: when it will be full again. A full bucket equals no bucket, so only full ones are dropped. When
there is no room for another bucket, all newcomers share one: a client that keeps changing addresses evicts nobody.
"""

import math
from collections import OrderedDict
from ipaddress import IPv4Address
from typing import NamedTuple

from service.auth.networks import address_of

MAX_BUCKETS = 10_000
_BURST_SECONDS = 2
_LEAST_BURST = 10
_ROUNDING_SECONDS = 1e-6  # floating point: a client that waited exactly as long as asked must be accepted
_HOST_BITS = 64  # of IPv6: one household or server has all of them


class Limit(NamedTuple):
    """`rate` tokens a second, and `burst` of them at once."""

    rate: float
    burst: float


def limit_of(rate: float) -> Limit:
    """Return the limit for a rate a second: two seconds' worth may come at once, at least 10. Raises ValueError."""
    if not 0 < rate < math.inf:
        raise ValueError(f"a rate is a positive number of postbacks a second, not {rate}")
    return Limit(rate, max(_LEAST_BURST, rate * _BURST_SECONDS))


class RateLimits:
    """At most `most` buckets, by key; when all are in use, new keys share the bucket of `newcomers`."""

    def __init__(self, newcomers: Limit, most: int = MAX_BUCKETS) -> None:
        self._newcomers = newcomers
        self._newcomers_full_at = -math.inf
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()  # the longest unused first

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._full_at)

    def take(self, key: str, limit: Limit, now: float, tokens: int = 1) -> float:
        """Take tokens at `now` (monotonic seconds) and return 0.0; if there are too few, take none and return the wait.

        More than a burst may be taken from a full bucket; later callers wait until that is refilled.
        """
        if key not in self._full_at and not self._has_room(now):
            wait, self._newcomers_full_at = _taken(self._newcomers_full_at, self._newcomers, now, tokens)
            return wait
        wait, self._full_at[key] = _taken(self._full_at.get(key, now), limit, now, tokens)
        self._full_at.move_to_end(key)
        return wait

    def charge(self, key: str, limit: Limit, now: float, tokens: int) -> None:
        """Take tokens even if there are too few, from a caller that was let in just now: later calls wait for them."""
        if key in self._full_at:
            self._full_at[key] = max(self._full_at[key], now) + tokens / limit.rate
        else:
            self._newcomers_full_at = max(self._newcomers_full_at, now) + tokens / self._newcomers.rate

    def _has_room(self, now: float) -> bool:
        """Drop full buckets, the longest unused first; return whether there is room for another."""
        for _ in range(2):  # more than one newcomer brings, so that their number falls
            if self._full_at and next(iter(self._full_at.values())) <= now:
                self._full_at.popitem(last=False)
        return len(self._full_at) < self._most


def retry_after(wait: float) -> int:
    """Return the seconds of a Retry-After header for what `take` returned."""
    return max(1, math.ceil(wait))


def bucket_of(client_ip: str) -> str:
    """Return the bucket key of an address: the IPv4 address, the /64 of IPv6, one key for all without an address."""
    address = address_of(client_ip)
    if address is None:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{int(address) >> _HOST_BITS:x}::/{_HOST_BITS}"


def _taken(full_at: float, limit: Limit, now: float, tokens: int) -> tuple[float, float]:
    """Return how long to wait, and when the bucket is full again: later if tokens were taken."""
    owed = max(full_at - now, 0.0)
    wait = owed + (min(tokens, limit.burst) - limit.burst) / limit.rate
    if wait > _ROUNDING_SECONDS:
        return wait, full_at
    return 0.0, now + owed + tokens / limit.rate
