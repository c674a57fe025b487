"""Owns how much is kept of a body that is no text: what it holds if it was packed, else its size and its digest.

Pure. Nobody can see what such bytes tell, so they might hold a secret. What is legible stays so when it is asked again.
"""

import re
from codecs import getincrementaldecoder
from hashlib import sha256

from service.core.decompression import beginning
from service.core.redaction import redact

_PACKED = re.compile(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|PK\x03\x04|BZh[1-9]1AY&SY|\xfd7zXZ\0")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda](?=[\x80-\xff])")
_NAMES = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CONTROL = bytes(code for code in range(0x20) if code not in b"\t\n\f\r") + b"\x7f"


def legible(body: bytes, encoding: str, longest: int) -> bytes:
    """Return what is kept of a body, at most `longest` bytes of what it holds; `encoding` is what its request says."""
    if not encoding and body.isascii():
        return body
    packed = _ZLIB.match(body) or _PACKED.search(body)
    if packed:
        begins, kind = packed.start(), _NAMES.get(packed[0], "")
        held = beginning(body[begins:], kind, longest - begins) if begins < longest else None
        return redact(body[:begins]) + (_not_kept(body[begins:]) if held is None else _as_text(held))
    return _as_text(body) if encoding not in ("", "identity") else body


def _as_text(held: bytes) -> bytes:
    """Return it with its secrets redacted, if it is text."""
    try:
        getincrementaldecoder("utf-8")().decode(held)  # it may end within a letter
    except UnicodeDecodeError:
        return _not_kept(held)
    return redact(held) if len(held.translate(None, _CONTROL)) == len(held) else _not_kept(held)


def _not_kept(content: bytes) -> bytes:
    return f"[not kept: {len(content)} bytes that are no text, sha256 {sha256(content).hexdigest()}]".encode()
