"""Owns local dates and times, as spreadsheets show them. A person says which number is the day; nobody guesses."""

import re
from datetime import date, datetime, time
from functools import lru_cache
from typing import Literal

DateOrder = Literal["dmy", "mdy", "ymd"]

_LOCAL = re.compile(
    r"(?P<day>[0-9]{1,4}[./\-\s]\s?(?:[0-9]{1,2}|[A-Za-z]{3})[./\-\s]\s?[0-9]{1,4})\.?"
    r"(?:,?[\sT]\s*(?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?)(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?)?"
    r"\s?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?"
)
_BETWEEN = re.compile(r"[./\-\s]+")
_NAMED = ("%d %b %Y", "%d %b %y")  # 31-Jan-26: the month tells itself
_FORMATS: dict[DateOrder, tuple[str, ...]] = {
    "dmy": ("%d %m %Y", "%d %m %y", *_NAMED),
    "mdy": ("%m %d %Y", "%m %d %y", *_NAMED),
    "ymd": ("%Y %m %d", "%y %m %d", "%Y %b %d"),
}


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
        moment = datetime.combine(_day(local["day"], order), _time(local["time"] or "00:00", local["half"]))
    except ValueError:
        return text
    zone = local["zone"] or ""
    return moment.isoformat() + ("+00:00" if zone in ("Z", "UTC", "GMT") else zone)


@lru_cache(maxsize=1024)  # a file has many rows of few days
def _day(text: str, order: DateOrder) -> date:
    day = _BETWEEN.sub(" ", text)
    for form in _FORMATS[order]:
        try:
            return datetime.strptime(day, form).date()  # noqa: DTZ007 - its zone is read beside it
        except ValueError:
            continue
    raise ValueError(text)


def _time(text: str, half: str | None) -> time:
    if half is None:
        return time.fromisoformat(("0" if text[1] == ":" else "") + text.replace(",", "."))
    seconds = ":%S" if text.count(":") > 1 else ""
    return datetime.strptime(f"{text} {half}M", f"%I:%M{seconds} %p").time()  # noqa: DTZ007 - the same
