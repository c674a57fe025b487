"""Owns how a person says which postbacks are meant: the filters that `rejected`, `replay`, `export` … share."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.setting_up import refuse
from service.core.decoding import decode_moment
from service.core.outcome import Outcome

if TYPE_CHECKING:
    from service.storage.reads.conversions import Wanted
    from service.storage.reads.quarantine import Chosen

_KEPT = [outcome.value for outcome in Outcome if outcome.kept]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(rf"([0-9]{{1,9}})([{''.join(_UNITS)}])")

Outcomes = Annotated[
    list[str] | None, typer.Option("--outcome", help="Only this outcome; give it several times for several.")
]
SenderName = Annotated[str | None, typer.Option("--sender", help="Only this sender's.")]
Since = Annotated[
    str | None, typer.Option(help="Only from then on: 2026-01-31, 2026-01-31T08:30 (UTC), or 2h, 7d: that long ago.")
]
Until = Annotated[str | None, typer.Option(help="Only before then; a date alone is its 00:00 UTC.")]
ClickId = Annotated[str | None, typer.Option(help="Only those that name this click id, exactly as it was sent.")]


def chosen(
    outcomes: list[str] | None, sender: str | None, since: str | None, until: str | None, click_id: str | None
) -> "Chosen":
    """Return what is meant, or end the command with exit code 2 and a line for each mistake."""
    from service.storage.reads.quarantine import Chosen

    mistakes = [
        f"--outcome {word}: nothing is kept under that word; there are {', '.join(_KEPT)}"
        for word in sorted(set(outcomes or ()) - set(_KEPT))
    ]
    begin, end = _period(since, until, mistakes)
    return Chosen(tuple(outcomes or ()), sender, begin, end, click_id)


def wanted(
    sender: str | None, since: str | None, until: str | None, click_id: str | None = None, *, tests: bool = False
) -> "Wanted":
    """Return which conversions are meant, until now at the latest; or end the command as `chosen` does."""
    from service.storage.reads.conversions import Wanted

    now = datetime.now(UTC)
    begin, end = _period(since, until, [])
    return Wanted(sender, click_id, begin, min(end or now, now), tests)


def _period(since: str | None, until: str | None, mistakes: list[str]) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    moments: dict[str, datetime | None] = {}
    for option, text in (("--since", since), ("--until", until)):
        moments[option] = None if text is None else moment(text, now)
        if text is not None and moments[option] is None:
            mistakes.append(f"{option} {text}: no time; it looks like 2026-01-31, 2026-01-31T08:30, 2h or 7d")
    if mistakes:
        refuse(mistakes)
    return moments["--since"], moments["--until"]


def moment(text: str, now: datetime) -> datetime | None:
    """Read an ISO time, in UTC where it names no zone, or how long ago; None if it is neither."""
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return decode_moment(text)
    except (ValueError, OverflowError):
        return None


def later(text: str, now: datetime) -> datetime | None:
    """Read an ISO time, or how long from now: 90d; None if it is neither."""
    try:
        if span := _AGO.fullmatch(text):
            return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        return decode_moment(text)
    except (ValueError, OverflowError):
        return None
