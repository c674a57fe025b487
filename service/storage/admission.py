"""Owns what of a commit's rejected postbacks is kept: all, while whoever sent them has room; the others are counted.

The figures are the database's (schema: quarantine_share), so they hold for all processes together. One looks at them
once a second, or once it added 2 MiB, and adds what it writes meanwhile. Retention makes room at the same time, so a
bound is exceeded by no more than the slack here and what processes add unseen.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from service.core.judging import Judged
from service.core.keeping import NotKept
from service.core.postback import MAX_KEPT_BYTES, Postback, Rejection
from service.core.verdict import Verdict
from service.storage.deletions.book import Gone, Occasion, Reason, retention_of
from service.storage.deletions.finding import ROW_BYTES
from service.storage.schema.registry import REJECTED

_SECONDS = 1.0
_UNSEEN_BYTES = 2 * 2**20
STRANGERS_SLACK = 8 * 2**20  # beyond the bound, where nothing is kept any more: retention makes room below it
SENDERS_SLACK = 32 * 2**20
STRANGERS = ""  # the share of all of them


class Bounds(NamedTuple):
    """Bytes for what strangers sent, and for what known senders sent."""

    strangers: int
    senders: int


class Admission:
    """Decides for one ledger. Without bounds there is room for everything, but for what is sampled.

    `clock` gives seconds.
    """

    def __init__(self, bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._taken: Counter[str] = Counter()
        self._senders = 0  # what all of them take
        self._unseen = 0
        self._read_at = float("-inf")

    def must_look(self, judged: Judged) -> bool:
        """Say whether the figures are needed, and too old."""
        if not judged.kept or self._bounds is None:
            return False
        return self._unseen > _UNSEEN_BYTES or self._clock() - self._read_at > _SECONDS

    def look(self, figures: Iterable[tuple[str, int]]) -> None:
        """Take the figures: each share, and the bytes of it."""
        self._taken = Counter({share: taken for share, taken in figures if taken > 0})
        self._senders = self._taken.total() - self._taken[STRANGERS]
        self._unseen, self._read_at = 0, self._clock()

    def sift(self, judged: Judged) -> list[Gone]:
        """Take out of a judged batch what is not kept, and return it as the book has it."""
        kept, turned_away = [], []
        for entry, verdict in judged.kept:
            if reason := self._refusal(entry):
                judged.unkept[entry.raw.request_id] = reason
                turned_away.append((entry, verdict))
            else:
                kept.append((entry, verdict))
        judged.kept = kept
        return _noted(turned_away) if turned_away else []

    def _refusal(self, entry: Postback | Rejection) -> NotKept | None:
        """Say why an entry is not kept; else it takes its room."""
        if isinstance(entry, Rejection) and entry.sampled_out:
            return NotKept.SAMPLED
        if self._bounds is None:
            return None
        raw, share = entry.raw, entry.sender or STRANGERS
        size = min(len(raw.query), MAX_KEPT_BYTES) + min(len(raw.body), MAX_KEPT_BYTES) + ROW_BYTES
        taken = self._taken[share] + size
        if share == STRANGERS:
            if taken > self._bounds.strangers + STRANGERS_SLACK:
                return NotKept.STRANGERS_FULL
        else:
            everybody = max(1, len(self._taken) - (STRANGERS in self._taken))
            if self._senders + size > self._bounds.senders + SENDERS_SLACK and taken * everybody > self._bounds.senders:
                return NotKept.SENDER_FULL
            self._senders += size
        self._taken[share] = taken
        self._unseen += size
        return None


def occasion(now: datetime) -> Occasion:
    """Return what the book says of what is not kept."""
    return retention_of(now, REJECTED.name, Reason.NOT_KEPT)


def _noted(entries: Iterable[tuple[Postback | Rejection, Verdict]]) -> list[Gone]:
    """Add up by outcome and process."""
    found: dict[tuple[str, str], list[datetime]] = {}
    for entry, verdict in entries:
        raw = entry.raw
        process = "" if raw.door == "replay" else raw.request_id[:16]
        found.setdefault((verdict.outcome.word, process), []).append(raw.received_at)
    return [Gone(*kind, len(moments), min(moments), max(moments)) for kind, moments in found.items()]
