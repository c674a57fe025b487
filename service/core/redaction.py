"""Owns redaction: secrets are removed from everything that is kept, so rows, journals and backups hold none.

Pure, and linear in what was sent. It looks at the text as it was meant, below all that disguises it, and replaces where
that stands in what was sent.
"""

import re
from functools import partial
from urllib.parse import unquote_to_bytes

from service.core.disguises import MOST_LEVELS, Undone, undone
from service.core.secret_texts import ID_LENGTH, MARKS, Found, hidden_in_base64, secrets_in

_REDACTED = re.compile(rb"pbk_([0-9a-z]{%d})_redacted" % ID_LENGTH, re.IGNORECASE)
_NESTED = re.compile(rb"%(?:25)+")
_FEW = 64  # escapes
_LOWER = bytes(range(256)).lower()
_BETWEEN = bytes([*range(0x21), *range(0x7F, 0x100), *b"\"'+"])  # may split a secret
_SHORTEST_BASE64 = 64  # characters that hold one of our keys
_COMMON = b"0123456789abcdefghilmnopqrstuvxyABCDEFGHILMNOPQRSTUVXY=&_-.~"  # no k, w, j, z: each secret has one of them
_SIGN = 1
_OF_A_K = dict(zip(b"=64bB", b"=66bb", strict=True))  # in quoted-printable: =6B, or =4B for a capital
_KINDS = bytes(_OF_A_K.get(code, 0 if code in _COMMON else _SIGN) for code in range(256))
_LOWERED_MARKS = tuple(mark.lower() for mark in MARKS)


def may_hold_secrets(sent: bytes) -> bool:
    """Tell whether it is worth looking for secrets in what was sent: almost never."""
    text = _squeezed(sent)
    return "%" in text or _names_one(text) or _is_escaped(text)


def id_redacted(sent: bytes) -> str | None:
    """Return the public id of a key whose secret was taken out of what was sent; None: there is none."""
    found = _REDACTED.search(sent)
    return found[1].decode().lower() if found else None


def redact(sent: bytes) -> bytes:
    """Return what was sent, with everything that looks like a secret replaced, however it is written."""
    if len(sent) < _SHORTEST_BASE64:
        kinds = sent.translate(_KINDS)
        if _SIGN not in kinds and kinds.find(b"=6b") < 0:  # most queries
            return sent
    text = _squeezed(sent)
    if not _names_one(text) and not _is_escaped(text):
        escapes = text.count("%")
        if not escapes:
            return sent
        if escapes <= _FEW:  # the cheaper way for a query; bad escapes are dear in it
            plain = _squeezed(unquote_to_bytes(_NESTED.sub(b"%", sent)))
            if not _names_one(plain) and not _is_escaped(plain) and "%" not in plain:
                return sent
    kept: list[bytes] = []
    at = 0
    for start, end, label in _found(sent.decode("latin-1")):
        if start >= at:
            kept += (sent[at:start], label.encode())
        at = max(at, end)
    return b"".join((*kept, sent[at:])) if kept else sent


def _squeezed(sent: bytes) -> str:
    """Return what was sent in small letters, without what may split a secret."""
    return sent.translate(_LOWER, _BETWEEN).decode("latin-1")  # to search text costs a fifth of searching bytes


def _is_escaped(text: str) -> bool:
    """Tell whether a text may be escaped in another way than URLs are."""
    return "\\" in text or ";" in text or "&#" in text or "%u" in text or "=5f" in text


def _names_one(text: str) -> bool:
    """Tell whether a text has something that each secret has, or that stands before it."""
    return (
        "pbk" in text
        or "whsec" in text
        or "eyj" in text
        or "@" in text
        or "uthoriz" in text
        or "api-key" in text
        or "bearer" in text
        or "basic" in text
        or (len(text) >= _SHORTEST_BASE64 and any(mark in text for mark in _LOWERED_MARKS))
    )


def _found(text: str, *, packed: bool = False) -> list[Found]:
    """Return the secrets in a text, where they stand in it, in their order; `packed`: it came out of base64."""
    levels: list[Undone] = []
    while len(levels) < MOST_LEVELS and (level := undone(text)):
        levels.append(level)
        text = level.text
    if not _names_one(_squeezed(text.encode("latin-1"))):
        return []
    found = secrets_in(text)
    if not packed:
        found += hidden_in_base64(text, partial(_found, packed=True))
    for level in reversed(levels):
        found = [Found(level.source(start), level.source(end), label) for start, end, label in found]
    return sorted(found)
