"""Owns API keys: how one is made, what is kept of it, and how one that was sent is verified.

Pure. A key reads `pbk_<public id>_<secret>`: the id finds its row, the secret has 202 random bits and ends in eight hex
digits of a checksum, which tells a key that was cut off or mistyped from one that is wrong. Only the SHA-256 of the
secret is kept; with that many random bits a slow hash would protect nothing.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from service.core.outcome import Outcome, Rejected
from service.core.roster import KnownKey
from service.core.secret_texts import ID_LENGTH, PREFIX

_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o, u: an id is read out on the telephone
_SECRET_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # noqa: S105 - an alphabet
_RANDOM_LETTERS = 34  # of 62: 202 bits
_FORM = re.compile(rf"{PREFIX}_([0-9a-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{_RANDOM_LETTERS}}}[0-9a-f]{{8}})", re.ASCII)
_BEGINS = re.compile(rf"{PREFIX}_([0-9a-z]{{{ID_LENGTH}}})_[0-9A-Za-z]", re.ASCII)
_ID = re.compile(rf"(?:{PREFIX}_)?([0-9a-z]{{{ID_LENGTH}}})(?:_.*)?", re.ASCII)
_NOBODYS = KnownKey("", "", bytes(32))  # what a wrong secret is compared with


class NewKey(NamedTuple):
    """A key that was just made. `text` is shown once, to a person."""

    id: str
    text: str
    secret_sha256: str

    def __repr__(self) -> str:
        """Say which key it is, and never what opens the door."""
        return f"NewKey({self.id!r})"


def new_key() -> NewKey:
    """Make a key."""
    public = _letters(_ID_LETTERS, ID_LENGTH)
    random = _letters(_SECRET_LETTERS, _RANDOM_LETTERS)
    secret = random + _checksum(public, random)
    return NewKey(public, f"{PREFIX}_{public}_{secret}", digest(secret).hex())


def digest(secret: str) -> bytes:
    """Return what is kept of a key's secret part."""
    return hashlib.sha256(secret.encode()).digest()


def id_in(text: str) -> str | None:
    """Return the public id in what a person copied: an id, or a key, whole or cut off behind its id; None: none is."""
    found = _ID.fullmatch(text.strip())
    return found[1] if found else None


def id_shown(texts: Iterable[str]) -> str | None:
    """Return the public id in the first text that is a key, whole or cut off; None if none is. Never a secret."""
    return next((found[1] for text in texts if (found := _BEGINS.match(text))), None)


def verified_key(text: str, by_secret: Mapping[bytes, KnownKey]) -> KnownKey:
    """Return the known key for the text that was sent. Raises `Rejected`.

    An unknown id and a wrong secret look, and cost, the same. Keys are found by the hash of the secret and not by the
    id: a look-up by an id that an attacker can choose takes some nanoseconds longer when it finds one, and that can be
    measured (tests/load/key_timing.py).
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise Rejected(Outcome.UNAUTHENTICATED, _malformed(text))
    public, secret = found.groups()
    hashed = digest(secret)
    key = by_secret.get(hashed, _NOBODYS)
    if not hmac.compare_digest(hashed, key.secret_sha256) or key.id != public:
        raise Rejected(Outcome.UNAUTHENTICATED, _unknown(public, secret))
    return key


def _letters(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))


def _checksum(public: str, random: str) -> str:
    return f"{zlib.crc32(f'{public}_{random}'.encode()):08x}"


def _unknown(public: str, secret: str) -> str:
    if _checksum(public, secret[:_RANDOM_LETTERS]) != secret[_RANDOM_LETTERS:]:
        return "the API key was changed on its way: its checksum is wrong; copy it again, as a whole"
    return "no such API key"


def _malformed(text: str) -> str:
    if not text:
        return "the API key is empty"
    if text != text.strip():
        return "there is white space around the API key"
    if text.startswith(f"{PREFIX}_"):
        return "the API key is not whole: copy it again, from pbk_ to its end"
    return "that is not an API key: they begin with pbk_"
