"""Owns disguises: text as URLs, HTML, JSON and mails may write it, undone level by level, with the way back.

Pure. Every character stands for a byte that was sent (latin-1). What stands for none becomes one that no secret has.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property, reduce
from html.entities import html5
from itertools import accumulate, repeat

MOST_LEVELS = 5  # of different kinds: the same one repeated (%252541, &amp;amp;#65;, \\\\u0041) is one
_OTHER = "\xff"

_WRITTEN = r"""
    %(?:25)*+ (?: (?P<percent> [0-9A-Fa-f]{2} ) | u (?P<wide> [0-9A-Fa-f]{4} ) )
    | %(?:25)+ (?P<last> ) (?! [0-9A-Fa-f]{2} | u )
    | (?<!\\) \\++ (?:
        u (?P<json> [0-9A-Fa-f]{4} ) | u\{ (?P<braced> [0-9A-Fa-f]{1,6} ) \} | x (?P<hex> [0-9A-Fa-f]{2} )
        | (?P<slash> / ) | (?P<blank> [bfnrt] )
      )
    | & (?:amp;)*+ (?:
        \# (?P<decimal> [0-9]{1,7} ) ;? | \# [xX] (?P<html> [0-9A-Fa-f]{1,6} ) ;? | (?P<named> [A-Za-z]{2,24} ) ;
      )
    | = (?P<mail> 5F )
    | (?P<nothing> \0 )
"""
_ESCAPE = re.compile(_WRITTEN, re.VERBOSE)
_UNNAMED = reduce(lambda written, name: written.replace(f"?P<{name}>", "?:"), _ESCAPE.groupindex, _WRITTEN)
_ANY_ESCAPE = re.compile(f"({_UNNAMED})", re.VERBOSE)  # to split by: one group
_READ: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(
        ("percent", "wide", "json", "braced", "hex", "html", "mail"), lambda digits: _character(digits, 16)
    ),
    "last": lambda _: "%",
    "slash": str,
    "blank": lambda _: " ",
    "decimal": lambda digits: _character(digits, 10),
    "named": lambda name: html5.get(f"{name};", _OTHER)[0],
    "nothing": lambda _: "",
}


class Undone:
    """Text without some of its disguise, made of `pieces`, each of which was one of `sent`.

    Where a place was is worked out when it is first asked for: hardly any text holds a secret.
    """

    def __init__(self, pieces: list[str], sent: list[str]) -> None:
        self._pieces, self._sent = pieces, sent
        self.text = "".join(pieces)

    def source(self, place: int) -> int:
        """Return where a place of the text stands in what it was."""
        starts, sources = self._places
        piece = bisect_right(starts, place) - 1
        return sources[piece] + place - starts[piece]

    @cached_property
    def _places(self) -> tuple[list[int], list[int]]:
        return [0, *accumulate(map(len, self._pieces))], [0, *accumulate(map(len, self._sent))]


def undone(text: str) -> Undone | None:
    """Return the text with one level of escapes read; None where there is none."""
    if not ("%" in text or "\\" in text or "&" in text or "\0" in text or "=5F" in text):
        return None
    sent = _ANY_ESCAPE.split(text)
    if len(sent) == 1:
        return None
    pieces = sent.copy()
    pieces[1::2] = map(_MEANINGS.__getitem__, sent[1::2])
    return Undone(pieces, sent)


def without(text: str, left_out: re.Pattern[str]) -> Undone:
    """Return the text without what a pattern finds; it has one group, which is all of it."""
    sent = left_out.split(text)
    pieces = sent.copy()
    pieces[1::2] = repeat("", len(sent) // 2)
    return Undone(pieces, sent)


class _Meanings(dict[str, str]):
    """What escapes stand for. The short ones that are met are remembered, some thousands of them."""

    def __missing__(self, escape: str) -> str:
        """Read an escape."""
        read = _ESCAPE.fullmatch(escape)
        if read is None:
            raise KeyError(escape)
        kind = read.lastgroup or ""
        meaning = _READ[kind](read[kind])
        if len(escape) <= _LONGEST and len(self) < _MOST:
            self[escape] = meaning
        return meaning


_LONGEST, _MOST = 12, 4096


def _character(digits: str, base: int) -> str:
    number = int(digits, base)
    return chr(number) if number <= ord(_OTHER) else _OTHER


_MEANINGS = _Meanings()
for _byte in range(256):  # nobody can keep these out
    for _form in ("%%%02X", "%%%02x", "\\u%04x"):
        _MEANINGS[_form % _byte] = chr(_byte)
