"""Owns texts that make a pattern slow, if anything does: its own letters again and again, with no match at the end.

A pattern that goes back over what it has read takes the square of a text's length, or worse. Every letter that a
pattern speaks of, and every two of them, are repeated behind what brings it as far as one of its repetitions.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from re import _constants as ops
from re import _parser as parser
from typing import Any

_SIZES = (20, 40, 100, 500, 2000)  # letters
_SQUARE, _SLOW_SECONDS = 9.0, 0.0005  # of a text four times as long: 4 times as long is linear, 16 times the square
_ENDS = ("", "\x00", "\u00e9\x01", "!")
_MOST_LETTERS = 10

Text = str | bytes
Use = Callable[[Text], object]


def uses_of(pattern: re.Pattern[Any], names: Sequence[str]) -> list[Use]:
    """Return how a pattern is used: `fullmatch`, `match`, or what searches."""
    return [getattr(pattern, "search" if name in _SEARCHES else name) for name in {*names}]


_SEARCHES = frozenset({"search", "sub", "subn", "split", "finditer", "findall"})


def slow_on(pattern: re.Pattern[Any], names: Sequence[str]) -> str | None:
    """Return a text for which a pattern takes more than its length, as it is used; None: there is none."""
    for use in uses_of(pattern, names):
        for begins, piece, ends in _pumped(pattern):
            if _grows(use, [_as(pattern, begins + piece * (size // len(piece)) + ends) for size in _SIZES]):
                return f"{begins!r} + {piece!r} again and again + {ends!r}"
    return None


def _grows(use: Use, texts: Sequence[Text]) -> bool:
    """Tell whether a longer text takes more than its length; the longest is not tried where a short one says so."""
    for text in texts[:4]:
        if _seconds(use, text, 1) > _SLOW_SECONDS and _seconds(use, text, 2) > _SLOW_SECONDS:
            return True
    if _seconds(use, texts[4], 1) < _SLOW_SECONDS:
        return False
    short, long = (_seconds(use, text, 5) for text in texts[3:])
    return long > max(_SLOW_SECONDS, _SQUARE * short)


def _seconds(use: Use, text: Text, times: int) -> float:
    found = []
    for _ in range(times):
        began = time.thread_time()
        use(text)
        found.append(time.thread_time() - began)
    return min(found)


def _as(pattern: re.Pattern[Any], text: str) -> Text:
    return text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")


def _pumped(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    begins = list(dict.fromkeys(["", "x", *_beginnings(tree, "")]))[:12]
    letters = list(dict.fromkeys(letter for letter in _letters(tree) if letter.isprintable() or letter == " "))
    some = letters[:: max(1, len(letters) // _MOST_LETTERS)][:_MOST_LETTERS]
    pieces = [*some, *map("".join, product(some, repeat=2)), *filter(None, begins)]
    yield from product(begins, pieces, _ENDS)


def _parts(op: Any, argument: Any) -> list[Any]:
    """Return what an operation has within it."""
    if op in _REPEATS:
        return [argument[2]]
    if op is ops.SUBPATTERN:
        return [argument[3]]
    if op is ops.BRANCH:
        return list(argument[1])
    if op in (ops.ASSERT, ops.ASSERT_NOT):
        return [argument[1]]
    return [argument] if op in (ops.IN, ops.ATOMIC_GROUP) else []


_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)


def _beginnings(tree: Any, before: str) -> Iterator[str]:
    """Yield what brings a pattern as far as each of its repetitions, as short as can be."""
    for op, argument in tree:
        if op in _REPEATS:
            yield before
        for part in _parts(op, argument) if op is not ops.IN else ():
            yield from _beginnings(part, before)
        before += _shortest([(op, argument)])


def _shortest(tree: Any) -> str:
    """Return a text that a pattern matches, or nearly."""
    found = ""
    for op, argument in tree:
        if op is ops.LITERAL:
            found += chr(argument)
        elif op in (ops.IN, ops.ANY, ops.NOT_LITERAL):
            found += next(_letters([(op, argument)]), "a")
        elif op not in (ops.ASSERT, ops.ASSERT_NOT):
            first = next(iter(_parts(op, argument)), ())
            found += _shortest(first) * (argument[0] if op in _REPEATS else 1)
    return found


_OF_CATEGORY = {ops.CATEGORY_SPACE: " ", ops.CATEGORY_DIGIT: "1", ops.CATEGORY_WORD: "a"}


def _letters(tree: Any) -> Iterator[str]:
    """Yield letters that a pattern speaks of: both ends of each range, and one beside those that it leaves out."""
    for op, argument in tree:
        if op is ops.LITERAL:
            yield chr(argument)
        elif op is ops.RANGE:
            yield from map(chr, argument)
        elif op is ops.CATEGORY:
            yield _OF_CATEGORY.get(argument, "-")
        elif op in (ops.NEGATE, ops.ANY, ops.NOT_LITERAL):
            yield "a"
        for part in _parts(op, argument):
            yield from _letters(part)
