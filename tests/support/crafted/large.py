"""Owns batches as large as any may be: an ordinary one, and those that are made to take memory."""

import json
from collections.abc import Iterator

from tests.support.crafted.requests import CSV, JSON, NDJSON, Request, cells, packed, plain_pairs

SIZE, ROWS = 16 * 2**20, 50_000
_TYPES = {"ndjson": NDJSON, "array": JSON, "csv": CSV}
_PIECES = {
    "ndjson": [b"\n", b"  \n", b"\r\n", b" ", b"a", b'"', b"[" * 60_000 + b"\n"],
    "array": [b" ", b"\n", b"[]", b"[],", b"[", b'"",', b"{},", b"1,", b"1", b'"\\u0041"', b'{"a":', b"null,"],
    "csv": [b"\n", b"\r\n", b"\r", b"a", b",", b'"', b'"",', b'"a\n', b'"a\n",', b'"ab",'],
}


def ordinary_large(form: str) -> Request:
    """Return a batch of ordinary rows."""
    filled = "a" * (SIZE // ROWS - 130)
    rows = [[*plain_pairs(), ("x", filled)] for _ in range(ROWS)]
    if form == "csv":
        body = cells(rows)
    else:
        lines = [json.dumps(dict(row)).encode() for row in rows]
        body = b"\n".join(lines) if form == "ndjson" else b"[" + b",".join(lines) + b"]"
    assert len(body) <= SIZE
    return packed("ordinary", body, _TYPES[form], "gzip")


def large(form: str) -> Iterator[Request]:
    """Yield batches that are one piece again and again."""
    for piece in _PIECES[form]:
        head = {"ndjson": b"{}\n", "array": b"[1,", "csv": b"c,value\na,1\n"}[form]
        body = head + piece * ((SIZE - 100) // len(piece)) + (b"1]" if form == "array" else b"")
        yield packed(repr(piece[:20]), body, _TYPES[form], "gzip")
