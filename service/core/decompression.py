"""Owns decompression: gzip and zstd, of a body or a file, with a bound on what is unpacked at once."""

import gzip
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from service.core.outcome import Outcome, Rejected

_MAX_PARTS = 64  # of a compressed body: for each one the rest is copied
_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 24}  # of zstd: 16 MiB of history
UNREADABLE = (OSError, EOFError, zlib.error, zstd.ZstdError)  # what reading from `open_unpacked` raises


class Readable(Protocol):
    """What bytes are read from, as from a file."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, none at the end."""


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file to read what it holds, unpacked where its name ends in `.gz` or `.zst`. Raises UNREADABLE."""
    match path.suffix.lower():
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "rb"))
        case ".zst":
            return cast("BinaryIO", zstd.open(path, "rb", options=_WINDOW))
        case _:
            return path.open("rb")


def unpack(body: bytes, encoding: str, longest: int) -> bytes:
    """Return a body as it was before it was packed; never more than one byte beyond `longest` is unpacked.

    Raises `Rejected`: unsupported_media_type, malformed_body, too_large.
    """
    if encoding in ("", "identity"):
        return body
    make = _DECOMPRESSORS.get(encoding)
    if make is None:
        encodings = ", ".join(_DECOMPRESSORS)
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content encoding {encoding[:40]!a}; take {encodings}")
    packed, unpacked, parts = body, bytearray(), 0
    try:
        while packed:  # both forms may be several, one after the other
            parts += 1
            if parts > _MAX_PARTS:
                raise Rejected(Outcome.TOO_LARGE, f"the {encoding} has more than {_MAX_PARTS} parts")
            part = make()
            unpacked += part.decompress(packed, longest + 1 - len(unpacked))
            if len(unpacked) > longest:
                raise Rejected(Outcome.TOO_LARGE, f"the body has more than {longest} bytes when it is unpacked")
            if not part.eof:
                raise Rejected(Outcome.MALFORMED_BODY, f"the {encoding} of the body ends too early")
            packed = part.unused_data
    except (zlib.error, zstd.ZstdError) as error:
        raise Rejected(Outcome.MALFORMED_BODY, f"the body is not {encoding}: {error}") from None
    return bytes(unpacked)


def beginning(body: bytes, encoding: str, longest: int) -> bytes | None:
    """Return so much of a body as it was before it was packed, of its first part; None where that cannot be had."""
    make = _DECOMPRESSORS.get(encoding)
    try:
        return make().decompress(body, longest) if make else None
    except (zlib.error, zstd.ZstdError):
        return None


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstd.ZstdDecompressor(options=_WINDOW),
}
ENCODINGS = tuple(_DECOMPRESSORS)
