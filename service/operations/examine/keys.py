"""Owns the checks of API keys: which of them end soon, and which nobody has ever used."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, guarded, ok, warning
from service.storage.schema.tables import ApiKey

_SOON = timedelta(days=14)
_TRIED_BY = timedelta(days=1)  # a younger key may still be on its way to its sender
_SHOWN = 5


def check(case: Case) -> Iterator[Finding]:
    """Yield the findings."""
    yield from guarded([("keys_expiring", partial(_expiring, case)), ("keys_unused", partial(_unused, case))])


def _expiring(case: Case) -> Finding:
    now = datetime.now(UTC)
    live = _live(case, now)
    ending = [key for key in live if key.expires_at and key.expires_at < now + _SOON]
    if not ending:
        return ok("keys_expiring", f"of {len(live)} live API keys none expires within {_SOON.days} days")
    shown = [f"{key.id} of {key.sender} on {key.expires_at:%Y-%m-%d %H:%M} UTC" for key in ending if key.expires_at]
    advice = "Make new ones while the old ones are valid: `keys rotate ID`; then its sender must switch."
    return warning("keys_expiring", f"API keys expire: {_some(shown)}", advice)


def _unused(case: Case) -> Finding:
    now = datetime.now(UTC)
    live = _live(case, now)
    idle = [key for key in live if key.last_used_at is None and key.created_at < now - _TRIED_BY]
    if not idle:
        return ok("keys_unused", f"each of {len(live)} live API keys was used, or is younger than a day")
    advice = "Ask their senders, or `keys revoke ID`: a key that nobody uses can only be stolen."
    return warning("keys_unused", f"never used: {_some([f'{key.id} of {key.sender}' for key in idle])}", advice)


def _live(case: Case, now: datetime) -> list[ApiKey]:
    rows = case.database.senders().rows()
    roster = rows.roster()
    return [key for key in rows.keys if roster.is_valid(roster.keys[key.id], now)]


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
