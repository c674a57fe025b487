"""Owns texts that cannot be decoded: each is kept as it was sent, in escapes, and says why no field is made of it."""

import re
from typing import Self

from service.core.outcome import Outcome, Rejected


class Undecoded(str):
    """What was sent for a text that cannot be decoded. Of a field it is rejected; another parameter keeps it."""

    __slots__ = ("detail", "outcome")
    outcome: Outcome
    detail: str

    def __new__(cls, kept: str, detail: str, outcome: Outcome = Outcome.INVALID_ENCODING) -> Self:
        """Return the text that is kept, and why it is no text of a field."""
        self = super().__new__(cls, kept)
        self.outcome, self.detail = outcome, detail
        return self

    def rejected(self) -> Rejected:
        """Return the rejection of a field that was sent so."""
        return Rejected(self.outcome, self.detail)


def escaped(encoded: bytes) -> str:
    """Return bytes as a URL writes them: all that is not printable ASCII as %XX."""
    return _NOT_PRINTABLE.sub(lambda found: b"%%%02X" % found[0][0], encoded).decode("ascii")


def without_surrogates(text: str) -> str:
    r"""Return a text with its NULs, and what stands in it for bytes that are not UTF-8, as they were sent: `%FC`.

    Half of a surrogate pair becomes the escape that JSON writes for it: `\ud800`.
    """
    return _NO_TEXT.sub(lambda found: _shown(ord(found[0])), text)


def _shown(code: int) -> str:
    return f"%{code - _BYTES.start + 128:02X}" if code in _BYTES else f"\\u{code:04x}"


_NOT_PRINTABLE = re.compile(rb"[^ -~]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)  # what Python's surrogateescape makes of a byte
