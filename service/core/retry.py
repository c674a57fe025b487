"""Owns the retry decision: an attempt, its response and the time in; delivered, retry or no retry out.

The rules are those of the senders this service lives with (AppsFlyer, Adjust, Branch): a 5xx answer, a time-out and a
failed connection are worth another attempt, a 4xx answer is final, and a redirect is not followed. A time-out leaves
open whether the receiver acted, so whoever retries must send the very same request and rely on the receiver's key.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TypeAlias

_SERVER_ERRORS = range(500, 600)
_SUCCESSES = range(200, 300)
_A_YEAR = 365 * 86_400.0  # seconds; a bound, so that `now + delay` is always a date


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP response arrived: its status and, when it had one, its Retry-After header as sent."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No response arrived: `error` names the time-out or the connection failure."""

    error: str


Response: TypeAlias = Answered | Unanswered


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it (2xx): nothing more to do."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Send the same request again, no sooner than `delay` from now."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class NoRetry:
    """No further attempt will be made; `reason` is one phrase for the log and the operator."""

    reason: str


Decision: TypeAlias = Delivered | Retry | NoRetry


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently: `max_attempts` counts the first one, `base` and `cap` are seconds.

    Attempt n waits a random part of `min(cap, base * factor ** (n - 1))`; no wait is ever longer than `cap`.
    """

    max_attempts: int = 5
    base: float = 1.0
    cap: float = 900.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        """Raise ValueError for a number that would make waits endless or negative."""
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, not {self.max_attempts}")
        if not (0 <= self.base <= _A_YEAR and 0 <= self.cap <= _A_YEAR):
            raise ValueError(f"base and cap must be seconds from 0 to a year, not {self.base} and {self.cap}")
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"factor must be at least 1, not {self.factor}")


def decide(attempt: int, response: Response, *, policy: RetryPolicy, now: datetime, jitter: float) -> Decision:
    """Decide what follows attempt number `attempt` (from 1); `now` is aware, `jitter` a random number from 0 to 1."""
    if isinstance(response, Answered) and response.status in _SUCCESSES:
        return Delivered()
    wait_asked = _wait_asked(response, now)
    if not _worth_retrying(response, wait_asked):
        return NoRetry(f"{_described(response)} is final")
    if attempt >= policy.max_attempts:
        return NoRetry(f"{_described(response)} on attempt {attempt} of {policy.max_attempts}")
    # The jitter comes on top of what was asked, else everyone told "in 5 seconds" would be back in the same instant.
    return Retry(timedelta(seconds=min(policy.cap, (wait_asked or 0.0) + jitter * _backoff(attempt, policy))))


def _worth_retrying(response: Response, wait_asked: float | None) -> bool:
    match response:
        case Unanswered():
            return True
        case Answered(status=HTTPStatus.TOO_MANY_REQUESTS):
            return wait_asked is not None  # with a Retry-After it says "later"; without one it is a 4xx like the others
        case Answered(status=status):
            return status in _SERVER_ERRORS


def _backoff(attempt: int, policy: RetryPolicy) -> float:
    """Exponential backoff with full jitter (AWS Architecture Blog, 2015): this is the longest wait, never over cap."""
    try:
        return min(policy.cap, policy.base * policy.factor ** (attempt - 1))
    except OverflowError:
        return policy.cap


def _wait_asked(response: Response, now: datetime) -> float | None:
    """Seconds asked for by Retry-After (RFC 9110, 10.2.3), 0 for a date gone by; None when absent or unreadable."""
    asked = response.retry_after.strip() if isinstance(response, Answered) and response.retry_after else ""
    if asked.isascii() and asked.isdigit():
        return float(asked)  # infinity for hundreds of digits: the cap sees to that
    return _seconds_until(asked, now)


def _seconds_until(http_date: str, now: datetime) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 20 ms of import that only a date needs

    try:
        date = parsedate_to_datetime(http_date)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # the asctime form carries no zone; RFC 9110 says it is UTC
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _described(response: Response) -> str:
    return f"status {response.status}" if isinstance(response, Answered) else response.error
