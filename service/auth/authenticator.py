"""Owns the decision who sent a postback; today that is open mode, for direct requests to a loopback name."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

from service.outcome import Outcome, Rejected
from service.postback import RawPostback
from service.sender import EZMOB, Sender

Mode = Literal["auto", "required", "open"]
Authenticate = Callable[[RawPostback], Sender]

_KEY_COMMAND = "python -m service keys create"


class StartRefused(Exception):  # noqa: N818 - a decision, not an error
    """The service may not start with this combination of address and credentials; the message says what to do."""


def choose_authenticator(mode: Mode, host: str, sender: Sender = EZMOB) -> Authenticate:
    """Return how callers are authenticated on a listener at `host`, or raise StartRefused.

    In open mode each of them is `sender`.

    No key can be registered in this version, so `required` has nobody to let in, and `auto` means: loopback only, open.
    """
    if mode == "required":
        raise StartRefused(
            f"POSTBACK_AUTH=required: no API key is registered, so every postback would be refused. Make one with "
            f"`{_KEY_COMMAND}` (API keys come with a later version), or use POSTBACK_AUTH=auto on a loopback address."
        )
    if mode == "auto" and not is_loopback(host):
        raise StartRefused(
            f"POSTBACK_HOST={host}: no API key is registered, and without one anybody who reaches this address could "
            f"store conversions. Make one with `{_KEY_COMMAND}` (API keys come with a later version), or bind a "
            "loopback address such as 127.0.0.1."
        )
    return partial(authenticate_open, sender=sender)


def authenticate_open(raw: RawPostback, sender: Sender = EZMOB) -> Sender:
    """Take a direct request to a loopback name for the sender's; raise `Rejected` for any other.

    A proxy in front, or a web page whose name was rebound to 127.0.0.1, reaches a loopback listener too: the first
    shows by its forwarding header, the second by its Host.
    """
    if raw.forwarded:
        raise Rejected(Outcome.UNAUTHENTICATED, "open mode, and the request came through a proxy")
    if not _is_loopback_authority(raw.host):
        raise Rejected(Outcome.UNAUTHENTICATED, f"open mode, and the Host is {raw.host[:80]!r}")
    return sender


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be reached from this machine."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _is_loopback_authority(authority: bytes) -> bool:
    host = authority.decode("latin-1")
    name, colon, port = host.rpartition(":")
    return is_loopback(name if colon and port.isdigit() else host)
