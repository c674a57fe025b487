"""Owns redaction: our secrets are removed from everything that is kept, so rows, journals and backups hold none.

Pure. A key is `pbk_<public id>_<secret>`; the public id stays, so that a person can tell which key was leaked. A
signing secret is `whsec_<base64>`; it is never part of a correct request, but a sender may mistake it for a key.
"""

import re

PREFIX = "pbk"
ID_LENGTH = 12
_BETWEEN = rb"(?:_|%5f|\\u005f)"  # as it is, and as URLs and JSON may write it
_BASE64 = rb"(?:[0-9A-Za-z+/_-]|%2[BFbf]|\\/|\\u002[BFbf]){16,}(?:=|%3[Dd]|\\u003[Dd]){0,2}"
_KEY = re.compile(rb"pbk%b([0-9a-z]{%d})%b[0-9a-z]+" % (_BETWEEN, ID_LENGTH, _BETWEEN), re.IGNORECASE)
_REDACTED = re.compile(rb"pbk_([0-9a-z]{%d})_redacted" % ID_LENGTH, re.IGNORECASE)
_TOKEN = re.compile(rb"eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*")  # a JWT: {" in base64
_SIGNING_SECRET = re.compile(rb"whsec(?i:%b)%b" % (_BETWEEN, _BASE64))


def redact_path(path: bytes) -> bytes:
    """Return the path of a request without our secrets, and without access tokens: none belongs there."""
    return _TOKEN.sub(b"token_redacted", redact(path))


def may_hold_secrets(sent: bytes) -> bool:
    """Tell whether it is worth looking for secrets in what was sent."""
    text = sent.decode("latin-1")  # to search text costs a fifth of searching bytes
    return "pbk" in text or "PBK" in text or "whsec" in text


def id_redacted(sent: bytes) -> str | None:
    """Return the public id of a key whose secret was taken out of what was sent; None: there is none."""
    found = _REDACTED.search(sent)
    return found[1].decode().lower() if found else None


def redact(sent: bytes) -> bytes:
    """Return what was sent, with the secret part of everything that looks like one of our secrets replaced."""
    if may_hold_secrets(sent):  # almost never
        sent = _KEY.sub(rb"pbk_\1_redacted", sent)
        sent = _SIGNING_SECRET.sub(b"whsec_redacted", sent)  # in capitals it would be another one
    return sent
