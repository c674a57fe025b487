"""Owns who sends: each preset under its own name, and senders with settings of their own."""

from collections.abc import Mapping
from typing import Any

from service.auth.keys import digest
from service.core.presets import PRESETS
from service.core.roster import Roster
from service.storage.database import Database
from tests.support import registration
from tests.support.registered import text_of

OWN: Mapping[str, dict[str, Any]] = {
    "comma": {"preset": "ezmob", "numbers": "comma"},
    "cents": {"preset": "ezmob", "numbers": "cents"},
    "keitaro-comma": {"preset": "keitaro", "numbers": "comma"},
    "crypto": {"preset": "ezmob", "currencies": ["USDT", "BTC", "HRK"]},
    "mapped": {"preset": "keitaro", "fields": {"revenue": "goal", "sum": "value"}},
    "demanding": {"preset": "keitaro", "required": ["click_id", "value"]},
    "relaxed": {"preset": "ezmob", "required": ["click_id"]},
    "strict": {"preset": "binom", "strict_status": True},
    "worded": {"preset": "binom", "strict_status": True, "statuses": {"ftd": "approved", "wait": "pending"}},
    "placeholding": {"preset": "ezmob", "placeholders": ["nobody"]},
}
DOORS = ["postback", "batch", "pixel"]


def key_of(sender: str) -> str:
    """Return a sender's key."""
    return text_of(f"dialects {sender}")


def register(database: Database) -> Roster:
    """Register all of them, each with a key for every door."""
    senders = database.senders()
    presets: Mapping[str, dict[str, Any]] = {preset: {"preset": preset} for preset in PRESETS}
    for name, settings in {**presets, **OWN}.items():
        key = key_of(name)
        senders.put_sender(registration.sender(name, **settings), new=True)
        secret = digest(key[17:]).hex()
        senders.put_keys(registration.key(key[4:16], sender=name, secret_sha256=secret, doors=DOORS))
    return senders.rows().roster()
