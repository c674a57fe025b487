"""Owns never-keep: values of parameters that their sender wants nobody to keep are dropped before anything is written.

Pure, and linear in what was sent. Names compare without case, escaped or not, as a part of `user[email]` and at any
depth of JSON. The name stays, so that a person can see what was sent. What is broken is searched as far as it goes.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from urllib.parse import unquote_plus

from service.core.bodies import CSV, MULTIPART, content_type_of
from service.core.postback import MAX_KEPT_BYTES, RawPostback

Names = frozenset[str]  # in small letters

_LEVELS = 3  # of percent escapes in a name
_BRACKETS = re.compile(r"[\[\]]+")
_SEPARATOR = re.compile(rb"([&;?])")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}\[\],:]|[^"{}\[\],:\s]++', re.DOTALL)
_PART_NAME = re.compile(rb"name\*?=[ \t]*(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;\s]*))", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CELLS = {
    mark: re.compile(rb'("(?:[^"]|"")*+"?|[^%b\r\n]*+)(%b|\r\n|\r|\n|$)' % (mark, mark)) for mark in (b",", b";", b"\t")
}
_OPENED, _CLOSED = (b"{", b"["), (b"}", b"]")


def dropped(raw: RawPostback, names: Names) -> RawPostback:
    """Return what arrived without the values of parameters with these names (in small letters)."""
    if not names:
        return raw
    query = _without_in_form(raw.query, names) if raw.query else raw.query
    if not raw.body:
        return raw._replace(query=query)
    body = _as_utf8(raw.legible())
    body = _reader(raw, body)(body, names)
    if len(raw.body) > MAX_KEPT_BYTES:  # it is too large, and stays so
        body = body.ljust(MAX_KEPT_BYTES + 1)
    return raw._replace(query=query, body=body)


def is_named(name: str, names: Names) -> bool:
    """Tell whether a parameter's name is one of these, however it is written."""
    for _ in range(_LEVELS):
        plain = unquote_plus(name, errors="replace")
        if plain == name:
            break
        name = plain
    parts = _BRACKETS.split(name.strip().lower().removeprefix("amp;"))
    return any(part.strip("\"' ") in names for part in parts)


def _reader(raw: RawPostback, body: bytes) -> Callable[[bytes, Names], bytes]:
    media_type, _, boundary = content_type_of(raw.content_type)
    start = body.removeprefix(BOM_UTF8).lstrip()
    if media_type == MULTIPART or start.startswith(b"--"):
        line = b"--" + boundary.encode("latin-1", "replace") if boundary else start.partition(b"\n")[0].strip()
        return lambda body, names: _without_in_parts(body, names, line)
    if start[:1] in (b"{", b"["):
        return _without_in_json
    if media_type == CSV or (raw.door in ("batch", "import") and b"=" not in start.partition(b"\n")[0]):
        return _without_in_csv
    return _without_in_form


def _as_utf8(body: bytes) -> bytes:
    """Return a body in UTF-16 as UTF-8: nobody reads it, but it is kept."""
    if b"\0" not in body:
        return body
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        try:
            text = body[: len(body) // 2 * 2].decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and ("=" in text or '"' in text):
            return text.encode()
    return body


def _without_in_form(encoded: bytes, names: Names) -> bytes:
    parts = _SEPARATOR.split(encoded)
    for number, part in enumerate(parts):
        name, found, value = part.partition(b"=")
        if found and value and is_named(name.decode("utf-8", "replace"), names):
            parts[number] = name + found
    return b"".join(parts)


def _without_in_json(body: bytes, names: Names) -> bytes:
    """Drop the values of members at any depth, and in rows of NDJSON."""
    kept: list[bytes] = []
    at, name = 0, b""
    tokens = _TOKEN.finditer(body)
    for token in tokens:
        if token[0] == b":" and name and is_named(_member(name), names):
            start, end = _value(body, tokens)
            kept += (body[at:start], b'""' if start < end else b"")
            at = end
        name = token[0]
    return b"".join((*kept, body[at:]))


def _value(body: bytes, tokens: Iterator[re.Match[bytes]]) -> tuple[int, int]:
    """Return where the value that begins with the next token goes; to the end, where it is broken."""
    start = end = None
    depth = 0
    for token in tokens:
        depth += (token[0] in _OPENED) - (token[0] in _CLOSED)
        if depth < 0 or (depth == 0 and token[0] == b","):
            return start or token.start(), end or token.start()
        start, end = start if start is not None else token.start(), token.end()
        if depth == 0 and token[0][:1] in (b'"', b"}", b"]"):
            return start, end
    return start or len(body), len(body)


def _member(quoted: bytes) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted.decode("utf-8", "replace")


def _without_in_parts(body: bytes, names: Names, line: bytes) -> bytes:
    if not line.strip(b"-"):
        return body
    parts = body.split(line)
    for number, part in enumerate(parts):
        found = _BLANK_LINE.search(part)
        name = _PART_NAME.search(part, 0, found.start()) if found else None
        if found and name and is_named((name[1] or name[2] or b"").decode("utf-8", "replace"), names):
            parts[number] = part[: found.end()] + b"\r\n"
    return line.join(parts)


def _without_in_csv(body: bytes, names: Names) -> bytes:
    """Drop the cells below the names in the header."""
    named: set[int] = set()
    kept: list[bytes] = []
    column, is_header = 0, True
    header = body.partition(b"\n")[0]
    mark = next((mark for mark in _CELLS if mark in header), b",")
    for cell in _CELLS[mark].finditer(body):
        if is_header and is_named(cell[1].decode("utf-8", "replace"), names):
            named.add(column)
        kept += (b"" if not is_header and column in named else cell[1], cell[2])
        column += 1
        if cell[2] != mark:
            column, is_header = 0, False
            if not named:
                return body
    return b"".join(kept)
