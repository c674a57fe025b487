"""Owns local dates and times, as spreadsheets show them. The order of day and month is told by a person, never guessed."""

import re
from datetime import datetime
from typing import Literal

DateOrder = Literal["dmy", "mdy", "ymd"]

_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_LOCAL = re.compile(
    r"(\d{1,4})[./\-\s]\s?(\d{1,2}|[A-Za-z]{3})[./\-\s]\s?(\d{1,4})\.?"
    r"(?:,?[\sT]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?(?:\s?([AaPp])\.?\s?[Mm]\.?)?)?"
    r"\s?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)


def is_local(text: str) -> bool:
    """Tell whether a text is a date or time that cannot be read without its order."""
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return _LOCAL.fullmatch(text.strip()) is not None
    return False


def iso_of(text: str, order: DateOrder) -> str:
    """Return a local date or time as ISO 8601 writes it, and what is none, or is ISO already, as it is."""
    local = _LOCAL.fullmatch(text.strip())
    if local is None or not is_local(text):
        return text
    try:
        moment = datetime(*_day(local, order), *_time(local))  # noqa: DTZ001 - the zone is written behind it
    except (ValueError, KeyError):
        return text
    zone = local[9] or ""
    return moment.isoformat() + ("+00:00" if zone in ("Z", "UTC", "GMT") else zone)


def _day(local: re.Match[str], order: DateOrder) -> tuple[int, int, int]:
    """Return year, month and day. Raises ValueError, KeyError."""
    parts = dict(zip(order, (local[1], local[2], local[3]), strict=True))
    if local[2].isalpha():  # 31-Jan-2026: the month is in the middle
        year, day = (local[1], local[3]) if order == "ymd" else (local[3], local[1])
        parts = {"y": year, "m": str(_MONTHS[local[2].lower()]), "d": day}
    if len(parts["y"]) not in (2, 4) or len(parts["m"]) > 2 or len(parts["d"]) > 2:
        raise ValueError(local[0])
    year = int(parts["y"])
    return (year if len(parts["y"]) == 4 else 2000 + year), int(parts["m"]), int(parts["d"])


def _time(local: re.Match[str]) -> tuple[int, int, int, int]:
    hour, minute, second = int(local[4] or 0), int(local[5] or 0), int(local[6] or 0)
    if local[8]:
        if not 1 <= hour <= 12:
            raise ValueError(local[0])
        hour = hour % 12 + (12 if local[8] in "Pp" else 0)
    return hour, minute, second, int((local[7] or "").ljust(6, "0"))
