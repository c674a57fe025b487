"""Owns disguises: text as URLs, HTML, JSON and mails may write it, undone level by level, with the way back.

Pure. Every character stands for a byte that was sent (latin-1). What stands for none becomes one that no secret has.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from html.entities import html5
from typing import NamedTuple

MOST_LEVELS = 5  # of different kinds: the same one repeated (%252541, &amp;amp;#65;, \\\\u0041) is one
_OTHER = "\xff"

_ESCAPE = re.compile(
    r"""
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
    """,
    re.VERBOSE,
)
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


class Undone(NamedTuple):
    """Text without some of its disguise. `starts` are places in it, `sources` where these stand in what it was."""

    text: str
    starts: list[int]
    sources: list[int]

    def source(self, place: int) -> int:
        """Return where a place of the text stands in what it was."""
        piece = bisect_right(self.starts, place) - 1
        return self.sources[piece] + place - self.starts[piece]


def undone(text: str) -> Undone | None:
    """Return the text with one level of escapes read; None where there is none."""
    if not ("%" in text or "\\" in text or "&" in text or "\0" in text or "=5F" in text):
        return None
    read = _replaced(text, _ESCAPE.finditer(text), _read)
    return read if len(read.starts) > _BARE else None


def without(text: str, left_out: re.Pattern[str]) -> Undone:
    """Return the text without what a pattern finds."""
    return _replaced(text, left_out.finditer(text), lambda _: "")


_BARE = 2  # pieces of a text in which nothing was replaced: all of it, and its end


def _replaced(text: str, found: Iterable[re.Match[str]], by: Callable[[re.Match[str]], str]) -> Undone:
    parts: list[str] = []
    starts, sources, length, at = [0], [0], 0, 0
    for one in found:
        start, end = one.span()
        replaced = by(one)
        parts += (text[at:start], replaced)
        length += start - at
        starts.append(length)
        sources.append(start)
        length += len(replaced)
        starts.append(length)
        sources.append(end)
        at = end
    parts.append(text[at:])
    starts.append(length + len(text) - at)
    sources.append(len(text))
    return Undone("".join(parts), starts, sources)


def _read(escape: re.Match[str]) -> str:
    kind = escape.lastgroup or ""
    return _READ[kind](escape[kind])


def _character(digits: str, base: int) -> str:
    number = int(digits, base)
    return chr(number) if number <= ord(_OTHER) else _OTHER
