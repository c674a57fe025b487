"""Owns open mode: without keys, only a direct request to a loopback name is the configured sender's."""

from functools import lru_cache

from service.auth.networks import is_loopback
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.sender import Sender

_ONLY = "open mode: only direct requests to a loopback name such as localhost are answered"


def authenticate_open(raw: RawPostback, sender: Sender = EZMOB) -> Sender:
    """Accept a direct request to a loopback name as the sender's; raise `Rejected` for any other.

    A proxy in front, or a web page whose name was rebound to 127.0.0.1, reaches a loopback listener too. A forwarding
    header gives the proxy away, the Host header gives the web page away.
    """
    if raw.forwarded:
        raise Rejected(Outcome.UNAUTHENTICATED, f"{_ONLY}, and this one came through a proxy")
    if not _is_loopback_authority(raw.host):
        raise Rejected(Outcome.UNAUTHENTICATED, f"{_ONLY}, and the Host is {raw.host[:80].decode('latin-1')!a}")
    return sender


@lru_cache(maxsize=64)
def _is_loopback_authority(authority: bytes) -> bool:
    host = authority.decode("latin-1")
    name, colon, port = host.rpartition(":")
    return is_loopback(name if colon and port.isdigit() else host)
