"""Owns how a moment is written: by us as ISO 8601 in UTC, by people also as a span from now: 2h, 7d, 90d."""

import re
from datetime import datetime, timedelta

from service.core.decoding import END_OF_TIME, FIRST_MOMENT, decode_moment

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(rf"([0-9]{{1,9}})([{''.join(_UNITS)}])")


def past_moment(text: str, now: datetime) -> datetime | None:
    """Read an ISO time, in UTC where it names no zone, or how long ago; None if it is neither, or out of bounds."""
    return _read(text, now, -1)


def coming_moment(text: str, now: datetime) -> datetime | None:
    """Read an ISO time, or how long from now: 90d; None if it is neither, or out of bounds."""
    return _read(text, now, 1)


def utc(moment: datetime) -> str:
    """Return a UTC moment as ISO 8601 writes it, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def minute(moment: datetime) -> str:
    """Return a UTC moment for a person, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def clock_refusal(now: datetime) -> str | None:
    """Say why nothing may be dated by a clock, None if it may: its rows would be out of every reader's bounds."""
    if FIRST_MOMENT <= now < END_OF_TIME:
        return None
    return f"this machine's clock says {minute(now)}, which is not between 2000 and 2100: set it"


def _read(text: str, now: datetime, direction: int) -> datetime | None:
    try:
        if span := _SPAN.fullmatch(text):
            moment = now + direction * timedelta(**{_UNITS[span[2]]: int(span[1])})
            return moment if FIRST_MOMENT <= moment < END_OF_TIME else None
        return decode_moment(text)
    except (ValueError, OverflowError):
        return None
