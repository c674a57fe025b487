"""Owns how API keys are taken out of what is kept: whoever reads rows, journals or backups must find none.

Pure. A key is `pbk_<public id>_<secret>`; the public id stays, so that a person can tell which key was spilt.
"""

import re

PREFIX = "pbk"
ID_LENGTH = 12
_BETWEEN = rb"(?:_|%5f|\\u005f)"  # as it is, and as URLs and JSON may write it
_KEY = re.compile(rb"pbk%b([0-9a-z]{%d})%b[0-9a-z]+" % (_BETWEEN, ID_LENGTH, _BETWEEN), re.IGNORECASE)


def redact(sent: bytes) -> bytes:
    """Return what was sent, with the secret part of everything that looks like one of our keys replaced."""
    if b"pbk" not in sent and b"PBK" not in sent:  # as almost always: a search for bytes costs next to nothing
        return sent
    return _KEY.sub(rb"pbk_\1_redacted", sent)
