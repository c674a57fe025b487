"""Owns an authenticator that follows a roster, and who is let in by it, or why nobody is."""

from typing import Any

from service.auth.access import Mode
from service.auth.authenticator import (
    Authenticator,
    Caller,
)
from service.auth.credentials import Credentials
from service.core.outcome import Outcome, Rejected
from service.core.presets import EZMOB
from service.core.roster import Roster
from service.telemetry.metrics import Metrics
from tests.support import builders
from tests.support.fakes import KeptLines, kept_log
from tests.support.registered import NOW


def authenticator(
    known: Roster | None, mode: Mode = "auto", host: str = "127.0.0.1", **options: Any
) -> tuple[Authenticator, KeptLines]:
    """Return one that follows a roster, and what it says."""
    lines = KeptLines()
    made = Authenticator(mode, host, EZMOB, kept_log(lines, Metrics()), **options)
    made.follow(known)
    return made, lines


async def caller_of(known: Roster | None, *keys: str, **changes: Any) -> Caller:
    """Return who is let in with these keys, on a loopback listener."""
    raw = builders.raw(received_at=NOW, **changes)
    return await authenticator(known)[0](raw, Credentials(keys))


async def refusal_of(known: Roster, *keys: str, **changes: Any) -> tuple[Outcome, str]:
    """Return why nobody is let in with these keys."""
    try:
        caller = await caller_of(known, *keys, **changes)
    except Rejected as rejected:
        return rejected.outcome, rejected.detail
    assert caller.refusal
    return caller.refusal.outcome, caller.refusal.detail
