"""Owns what a secret looks like: our keys and signing secrets, access tokens, Authorization, passwords in URLs.

Pure. A key is `pbk_<public id>_<secret>`; the public id stays, so that a person can tell which key was leaked. A
signing secret is `whsec_<base64>`. Both are found as well where white space, quotes or line ends split them.
"""

import json
import re
from base64 import b64encode
from binascii import Error, a2b_base64
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate, islice
from typing import NamedTuple

from service.core.disguises import without

PREFIX = "pbk"
ID_LENGTH = 12
_KEY_LETTERS = (42, 42)  # of a secret: as many as one has at least, and at most
_SIGNING_LETTERS = (32, 88)  # 24 to 64 bytes in base64
_SHORTEST_SIGNING_SECRET = 8  # what is left of one is none any more
_TELLING = 12  # letters in one piece: no word of a sentence that happens to follow

_GAP = r"(?:[\x00-\x20\x7f-\xff\"'\\+]|=\r?\n)*+"
_SPLIT = re.compile(_GAP)
_KEY = re.compile(
    rf"p{_GAP}b{_GAP}k{_GAP}_{_GAP}((?:[0-9a-z]{_GAP}){{8,16}})_{_GAP}(?!redacted(?![0-9a-z]))(?=[0-9a-z])",
    re.IGNORECASE | re.ASCII,
)
_SIGNING = re.compile(
    rf"w{_GAP}h{_GAP}s{_GAP}e{_GAP}c{_GAP}_{_GAP}(?!redacted(?![0-9a-z]))(?=[0-9a-z/_-])", re.IGNORECASE | re.ASCII
)
_LETTERS = re.compile(r"[0-9A-Za-z]+")
_BASE64_LETTERS = re.compile(r"[0-9A-Za-z+/_-]+(?:={1,2}(?!\r?\n))?")
_BLANKS = re.compile(r"((?:[\x00-\x20\x7f-\xff\"'\\]|=\r?\n)++)")
_BLANKS_OR_PLUS = re.compile(r"((?:[\x00-\x20\x7f-\xff\"'\\+]|=\r?\n)++)")

_TOKEN_RUN = re.compile(r"[0-9A-Za-z_.-]++")
_BEGINS = "eyJ"  # a JWT: {" in base64
_SHORTEST_HEAD = 16  # letters: {"alg":"x"}
_TRIED = 3  # places in one part of a run where a token may begin: text before it may end in the same letters
_OF_ACCESS = frozenset({"aud", "scope", "scp", "client_id", "azp"})  # RFC 9068, and what others write
_SIGNATURE_LETTERS = {"HS256": 43, "ES256": 86, "EdDSA": 86}
_LONGEST_SIGNATURE = 683  # letters: of an RSA key with 4096 bits

_AUTHORIZATION = re.compile(
    r"(?:authorization|x-api-key)(?=[\"'\s+:=])[\"']{0,2}[\s+]{0,8}[:=][\s+]{0,8}[\"']{0,2}([^\"'&;,\r\n{}<>]{4,4096})",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"(?<![0-9A-Za-z])bearer[\s+:]{1,8}((?=[^\s]{0,64}[0-9])[0-9A-Za-z._~+/=-]{16,8192})", re.IGNORECASE
)
_BASIC = re.compile(r"(?<![0-9A-Za-z])basic[\s+:]{1,8}([0-9A-Za-z+/]{6,2048}={0,2})", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^\s/?#:@&\"'<>]{0,256}:([^\s/?#@&\"'<>]{1,256})@")

_BASE64_RUN = re.compile(r"[0-9A-Za-z+/_-]{24,}")
_AS_STANDARD = str.maketrans("-_", "+/")


class Found(NamedTuple):
    """Where a secret stands in a text, and what takes its place."""

    start: int
    end: int
    label: str


def secrets_in(text: str) -> list[Found]:
    """Return the secrets in a text that is as it was meant, in any order."""
    squeezed = _BLANKS_OR_PLUS.sub("", text).lower()
    found = [*_keys(text)] if "pbk_" in squeezed else []
    if "whsec_" in squeezed:
        found += _signing_secrets(text)
    if "eyj" in squeezed:
        found += _tokens(text)
    taken = sorted(found)
    return [*taken, *(one for one in _by_what_is_around(text, squeezed) if not _overlaps(one, taken))]


def hidden_in_base64(text: str, look: Callable[[str], list[Found]]) -> Iterator[Found]:
    """Yield where base64 stands that holds a secret; `look` finds those in what was decoded."""
    squeezed = without(text, _BLANKS)
    if not any(mark in squeezed.text for mark in MARKS):
        return
    for run in _BASE64_RUN.finditer(squeezed.text):
        if not any(mark in run[0] for mark in MARKS):
            continue
        for skipped in range(4):
            first = run.start() + skipped
            for start, end, label in look(_decoded(run[0][skipped:])):
                ended = min(first + -(-end // 3) * 4, run.end())
                yield Found(squeezed.source(first + start // 3 * 4), squeezed.source(ended), label)


def _keys(text: str) -> Iterator[Found]:
    at = 0
    while begun := _KEY.search(text, at):
        public, start, secret = _SPLIT.sub("", begun[1]), *begun.span()
        end = _end(text, secret, _LETTERS, *_KEY_LETTERS)
        at = max(secret, end - len(PREFIX))  # the next one may begin within its letters
        yield Found(start, end, f"{PREFIX}_{public}_redacted" if len(public) == ID_LENGTH else f"{PREFIX}_redacted")


def _signing_secrets(text: str) -> Iterator[Found]:
    at = 0
    while begun := _SIGNING.search(text, at):
        start, secret = begun.span()
        at = _end(text, secret, _BASE64_LETTERS, *_SIGNING_LETTERS)
        at += len(text[at : at + 2]) - len(text[at : at + 2].lstrip("="))
        if at - secret >= _SHORTEST_SIGNING_SECRET:
            yield Found(start, at, "whsec_redacted")


def _end(text: str, start: int, letters: re.Pattern[str], enough: int, longest: int) -> int:
    """Return where a secret ends: with its letters, and with those behind a gap that can only be more of it."""
    piece = letters.match(text, start)
    if piece is None:
        return start
    end = ended = piece.end()
    count = len(piece[0])
    while count < longest and not piece[0].endswith("="):
        gap = _SPLIT.match(text, ended)
        begins = gap.end() if gap else ended
        if begins == len(text):
            return ended  # nothing else follows
        piece = letters.match(text, begins) if begins > ended else None
        if piece is None:
            break
        ended = piece.end()
        count += len(piece[0])
        if len(piece[0]) >= _TELLING or (end < ended and enough <= count < enough + len(piece[0])):
            end = ended
    return end


def _tokens(text: str) -> Iterator[Found]:
    """Yield the tokens. What stands for one differs with it, so that two of them stay two."""
    squeezed = without(text, _BLANKS_OR_PLUS)
    for run in _TOKEN_RUN.finditer(squeezed.text):
        if _BEGINS not in run[0]:
            continue
        for start, end in _tokens_of(run[0]):
            digest = sha256(run[0][start:end].encode()).hexdigest()[:ID_LENGTH]
            first, last = (squeezed.source(run.start() + place) for place in (start, end))
            yield Found(first, last, f"token_{digest}_redacted")


def _tokens_of(run: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where tokens go in a run of their letters; the last parts may be missing."""
    parts = run.split(".")
    ends = [*accumulate(len(part) + 1 for part in parts)]
    at = 0
    for head, part in enumerate(parts[:-1]):
        begins = ends[head] - 1 - len(part)
        if begins < at or len(part) < _SHORTEST_HEAD or _BEGINS not in part:
            continue
        for start in islice((one.start() for one in re.finditer(_BEGINS, part)), _TRIED):
            letters = _signature_letters(part[start:])
            if letters is not None and _may_let_in(parts[head + 1]):
                signed = ends[head + 1]
                at = min(signed + letters, ends[head + 2] - 1) if head + 2 < len(parts) else signed - 1
                yield begins + start, at
                break


def _signature_letters(head: str) -> int | None:
    """Return how many letters the signature of a token with this head has at most; None: it is none."""
    read = _members(head)
    if read is None or "alg" not in read:
        return None
    return _SIGNATURE_LETTERS.get(str(read["alg"]), _LONGEST_SIGNATURE)


def _may_let_in(payload: str) -> bool:
    """Tell whether a token with this payload is for somebody who lets its bearer in; a click id is for nobody."""
    read = _members(payload)
    return read is None or not _OF_ACCESS.isdisjoint(read)


def _members(part: str) -> dict[str, object] | None:
    try:
        read = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _by_what_is_around(text: str, squeezed: str) -> Iterator[Found]:
    """Yield what is secret because of where it stands."""
    if "authorization" in squeezed or "x-api-key" in squeezed:
        yield from _groups(_AUTHORIZATION, text)
    if "bearer" in squeezed:
        yield from _groups(_BEARER, text)
    if "basic" in squeezed:
        yield from (one for one in _groups(_BASIC, text) if ":" in _decoded(text[one.start : one.end]))
    if "://" in squeezed:
        yield from _groups(_PASSWORD, text)


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[Found]:
    return (Found(*one.span(1), "redacted") for one in pattern.finditer(text))


def _overlaps(one: Found, others: Sequence[Found]) -> bool:
    before = bisect_left(others, (one.end,))
    return before > 0 and others[before - 1].end > one.start


def _decoded(base64: str) -> str:
    """Return the bytes that base64 in one of its two alphabets stands for, as far as it is whole."""
    whole = base64.translate(_AS_STANDARD).rstrip("=")
    whole = whole[: len(whole) - (len(whole) % 4 == 1)]
    try:
        return a2b_base64(whole + "=" * (-len(whole) % 4)).decode("latin-1")
    except Error:
        return ""


def _marks(text: bytes) -> Iterator[str]:
    """Yield what a text looks like in base64, beginning at each of the three places in a group."""
    for before in range(3):
        encoded = b64encode(b"\0" * before + text).decode().rstrip("=")
        yield encoded[(0, 2, 3)[before] : (before + len(text)) * 8 // 6]


MARKS = tuple(mark for text in (b"pbk_", b"whsec_", b"eyJ") for mark in _marks(text))
