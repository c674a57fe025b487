"""Owns a roster for tests: one sender, one key of its, and the texts that people would send."""

import hashlib
import zlib
from typing import Any

from service.auth.keys import digest
from service.core.roster import KnownKey, KnownSender, Roster, sender_from_preset
from tests.support import builders

NOW = builders.RECEIVED_AT
SENDER = KnownSender(sender_from_preset("voluum", "acme"))


def text_of(seed: str) -> str:
    """Return a whole key that nobody registered, the same in every process."""
    public, random = (
        hashlib.sha256(seed.encode()).hexdigest()[:12],
        hashlib.sha256(f"{seed}!".encode()).hexdigest()[:34],
    )
    return f"pbk_{public}_{random}{zlib.crc32(f'{public}_{random}'.encode()):08x}"


KEY = text_of("acme")
PUBLIC = KEY[4:16]


def roster_key(**changes: Any) -> KnownKey:
    """Return the key of KEY."""
    return KnownKey(**{"id": PUBLIC, "sender": "acme", "secret_sha256": digest(KEY[17:]), **changes})


def roster(sender: KnownSender = SENDER, key: KnownKey | None = None) -> Roster:
    """Return the roster of one sender with one key."""
    known = key or roster_key()
    return Roster({sender.sender.name: sender}, {known.id: known})
