"""Owns what `send` counts: the answers, outcomes and latencies of one run, in memory that does not grow with it."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TypedDict

from service.core.retry import Answered, Response, Unanswered

_BUCKETS_PER_E = 100  # latency buckets 1 % wide, so a run of any length needs some 2,000 counters at most
_WORD_KEPT = 60  # characters of an outcome header; only a stranger's server would send more


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt came back with: a status, or the `error` that stood in for one; `text` is body or message."""

    status: int | None = None
    outcome: str | None = None
    error: str | None = None
    text: str = ""
    request_id: str | None = None
    retry_after: str | None = None
    seconds: float | None = None

    def as_response(self) -> Response:
        """Return the part that a retry decision looks at."""
        if self.status is None:
            return Unanswered(self.error or "no answer")
        return Answered(self.status, self.retry_after)


class OutcomeRow(TypedDict):
    """How often one kind of answer came: `status` and `outcome`, or an `error`; the others are null."""

    status: int | None
    outcome: str | None
    error: str | None
    count: int


class LatencySummary(TypedDict):
    """Milliseconds of the answered attempts, within 1 %; null when there was none."""

    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Summary(TypedDict):
    """The JSON object of `send --json`; the laws are `sent = Σ outcomes` and `attempts = sent + retries`."""

    requested: int
    sent: int
    accepted: int
    failed: int
    abandoned: int
    attempts: int
    retries: int
    duration_s: float
    rate_per_s: float
    max_lag_ms: float | None
    latency_ms: LatencySummary
    outcomes: list[OutcomeRow]
    retried: list[OutcomeRow]
    errors: dict[str, str]


class Latencies:
    """A histogram with buckets of constant relative width: percentiles within 1 % in bounded memory."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        self._buckets[math.ceil(math.log(max(seconds, 1e-9)) * _BUCKETS_PER_E)] += 1
        self._max = max(self._max, seconds)

    def milliseconds(self, fraction: float) -> float | None:
        """Return the latency that `fraction` of all did not exceed (nearest rank), None without any."""
        rank = max(1, math.ceil(fraction * self._buckets.total()))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return round(1e3 * min(self._max, math.exp(bucket / _BUCKETS_PER_E)), 3)
        return None

    def summary(self) -> LatencySummary:
        """Return the percentiles people ask for."""
        return {
            "p50": self.milliseconds(0.5),
            "p90": self.milliseconds(0.9),
            "p99": self.milliseconds(0.99),
            "max": self.milliseconds(1.0),
        }


_Kind = tuple[int | None, str | None, str | None]


@dataclass(slots=True)
class Tally:
    """What happened so far. Every completed attempt is counted once: as a postback's last, or as one to be retried."""

    requested: int
    sent: int = 0
    accepted: int = 0
    last: Answer | None = None
    _begun: int = 0
    _retries: int = 0
    _max_lag: float | None = None
    _start: float = 0.0
    _end: float = 0.0
    _latencies: Latencies = field(default_factory=Latencies)
    _final: Counter[_Kind] = field(default_factory=Counter)
    _retried: Counter[_Kind] = field(default_factory=Counter)
    _errors: dict[str, str] = field(default_factory=dict)

    def started(self) -> None:
        """Start the clock."""
        self._start = self._end = time.perf_counter()

    def ended(self) -> None:
        """Stop the clock."""
        self._end = time.perf_counter()

    def begun(self) -> None:
        """Note a postback's first attempt; it is abandoned unless `finished` follows."""
        self._begun += 1

    def lagged(self, seconds: float) -> None:
        """Note how late, against the asked rate, a postback was begun."""
        self._max_lag = max(self._max_lag or 0.0, seconds)

    def will_retry(self, answer: Answer) -> None:
        """Note an attempt that another one follows."""
        self._retries += 1
        self._note(self._retried, answer)

    def finished(self, answer: Answer, *, accepted: bool) -> None:
        """Note a postback's last attempt."""
        self.sent += 1
        self.accepted += accepted
        self.last = answer
        self._note(self._final, answer)

    def _note(self, kinds: Counter[_Kind], answer: Answer) -> None:
        kinds[(answer.status, answer.outcome and answer.outcome[:_WORD_KEPT], answer.error)] += 1
        if answer.seconds is not None:
            self._latencies.add(answer.seconds)
        if answer.error:
            self._errors.setdefault(answer.error, answer.text)

    def summary(self) -> Summary:
        """Return all of it; meaningful at any moment after `started`."""
        duration = self._end - self._start
        return {
            "requested": self.requested,
            "sent": self.sent,
            "accepted": self.accepted,
            "failed": self.sent - self.accepted,
            "abandoned": self._begun - self.sent,
            "attempts": self.sent + self._retries,
            "retries": self._retries,
            "duration_s": round(duration, 3),
            "rate_per_s": round(self.sent / duration, 1) if duration else 0.0,
            "max_lag_ms": None if self._max_lag is None else round(1e3 * self._max_lag, 1),
            "latency_ms": self._latencies.summary(),
            "outcomes": _rows(self._final),
            "retried": _rows(self._retried),
            "errors": dict(self._errors),
        }


def _rows(kinds: Counter[_Kind]) -> list[OutcomeRow]:
    return [
        {"status": status, "outcome": outcome, "error": error, "count": count}
        for (status, outcome, error), count in kinds.most_common()
    ]
