"""Owns the encoding of a file: which one it is, and the way from it to UTF-8, piece by piece."""

import codecs
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

from service.core.decompression import Readable

UTF8 = "utf-8"
_WIDE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_OTHER = re.compile(rb"[\x80-\xff]")
_ERRORS = "not_utf8"


def _as_no_utf8(error: UnicodeError) -> tuple[str, int]:
    """Return, for what cannot be decoded, what UTF-8 cannot hold: so the row is rejected, and nothing is made up."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - nobody encodes with this handler
    return "\udcff", error.end


codecs.register_error(_ERRORS, _as_no_utf8)


def encoding_of(beginning: bytes) -> str:
    """Return the encoding of a file by how it begins: what its mark says, UTF-8, or cp1252.

    It is cp1252 where no letter beyond ASCII is UTF-8. Where some are, the others are damage.
    """
    if beginning.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    nuls_behind, nuls_before = (beginning[first::2].count(0) for first in (1, 0))
    if 4 * max(nuls_behind, nuls_before) > len(beginning):
        return "utf-16-le" if nuls_behind > nuls_before else "utf-16-be"
    if beginning.isascii() or beginning.startswith(BOM_UTF8) or _WIDE.search(beginning):
        return UTF8
    return "cp1252"


def known_encoding(name: str) -> str:
    """Return an encoding's usual name. Raises LookupError for one that nobody knows, or that is no encoding of text."""
    found = codecs.lookup(name)
    "".encode(found.name)
    return UTF8 if found.name == "utf-8-sig" else found.name


def decoded(beginning: bytes, encoding: str) -> str:
    """Return the text of a file's beginning, which may end within a letter."""
    text = codecs.getincrementaldecoder(encoding)(_ERRORS).decode(beginning)
    return text.removeprefix("\ufeff")


class AsUtf8:
    """A stream of text in another encoding, read as UTF-8."""

    def __init__(self, stream: Readable, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return some bytes of UTF-8, none at the end."""
        text = ""
        while not text and not self._ended:
            chunk = self._stream.read(size)
            self._ended = not chunk
            text = self._decoder.decode(chunk, final=self._ended)
        return text.encode(UTF8, "surrogateescape")
