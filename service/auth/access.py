"""Owns who is let in at all: the mode, what it means with today's roster, and whether a start is allowed."""

from typing import Literal

from service.auth.networks import is_loopback
from service.core.program import PROGRAM
from service.core.roster import Roster

Mode = Literal["auto", "required", "open"]
Access = Literal["open", "required", "unknown"]

_KEY_COMMAND = f"{PROGRAM} keys create ezmob"


class StartRefused(Exception):  # noqa: N818 - a decision, not an error
    """The service may not start with this address and these credentials, or this clock; the message says what to do."""


def start_refusal(mode: Mode, host: str, roster: Roster | None) -> str | None:
    """Say why the service may not start like this, None if it may. An unknown roster does not prevent a start."""
    if mode == "open" or roster is None or roster.has_credentials:
        return None
    if mode == "required":
        return (
            "POSTBACK_AUTH=required: no API key is registered, so every postback would be refused. Make one with "
            f"`{_KEY_COMMAND}`, or use POSTBACK_AUTH=auto on a loopback address."
        )
    if is_loopback(host):
        return None
    return (
        f"POSTBACK_HOST={host}: no API key is registered, and without one anybody who reaches this address could store "
        f"conversions. Make one with `{_KEY_COMMAND}`, or bind a loopback address such as 127.0.0.1."
    )


def access_of(mode: Mode, host: str, roster: Roster | None) -> Access:
    """Return the rule in force. `auto` means required once a credential is registered, and is never open in public."""
    if mode == "open":
        return "open"
    if roster is None:
        return "unknown"
    return "open" if mode == "auto" and is_loopback(host) and not roster.has_credentials else "required"


ACCESS_LINES: dict[Access, tuple[int, str, str]] = {
    "open": (30, "open_mode", "no API key is asked for: every direct request to a loopback name is accepted"),
    "required": (20, "keys_required", "only requests with valid credentials are accepted"),
    "unknown": (40, "roster_unknown", "the database is away and no copy of the roster is here: keys cannot be checked"),
}
