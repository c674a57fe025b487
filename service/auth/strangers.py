"""Owns how much of what strangers send is kept: what an address sends now and then, and a sample of a flood.

Tokens are bytes, and a row takes 500 beside its input, so rows are bounded as well. The database's own bound
(storage/admission.py) holds for all processes together.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from service.auth.limits import Limit, RateLimits, bucket_of
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.deletions.finding import ROW_BYTES

_ALL_PART = 1 / 2  # of their room that all strangers may fill at once, and then again in each hour
_ADDRESS_PART = 1 / 16  # the same of one address
_HOUR = 3600.0


class Strangers:
    """The samples of one process. `room` is in bytes (0: everything is kept); `clock` gives seconds."""

    def __init__(self, room: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room = room
        self._address, self._all = (
            Limit(max(1.0, room * part) / _HOUR, max(1.0, room * part)) for part in (_ADDRESS_PART, _ALL_PART)
        )
        self._addresses = RateLimits(self._address)
        self._together = RateLimits(self._all)

    def sampled(self, refused: Rejection) -> Rejection:
        """Return what is left of it: of a 429 no body; of what is too much nothing, and it is only counted."""
        raw = refused.raw
        if refused.outcome is Outcome.RATE_LIMITED and raw.body:
            raw = raw._replace(body=b"", complete=False)
        size = len(raw.query) + len(raw.body) + ROW_BYTES
        if self._room and not self._has_room(bucket_of(raw.client_ip), size):
            return replace(refused, raw=raw._replace(query=b"", body=b"", complete=False), sampled_out=True)
        return refused if raw is refused.raw else replace(refused, raw=raw)

    def _has_room(self, address: str, size: int) -> bool:
        now = self._clock()
        if self._addresses.take(address, self._address, now, size):
            return False
        return not self._together.take("", self._all, now, size)
