"""Owns texts that are made to cost much: for patterns, for decoders, for whoever compares or shortens them."""

from collections.abc import Callable, Mapping

# Of so many characters. Each begins well and ends so that the longest way was for nothing.
_Made = Callable[[int], str]


def _filled(piece: str, begins: str = "", ends: str = "") -> _Made:
    return lambda size: begins + piece * max(1, (size - len(begins) - len(ends)) // len(piece)) + ends


_PIECES = {
    "spaces": " ",
    "no-break spaces": "\u00a0",
    "tabs": "\t",
    "digits": "1",
    "zeros": "0",
    "groups of digits": "1,",
    "digits and spaces": "1 ",
    "digits and quotes": "1'",
    "letters": "a",
    "capitals": "A",
    "underscores": "_A",
    "braces": "{",
    "closed braces": "{}",
    "braces and spaces": "{ ",
    "names in braces": "{a ",
    "brackets": "[",
    "brackets and spaces": "[ ",
    "angles": "<",
    "angles both": "<>",
    "percent": "%",
    "half escapes": "%2",
    "escapes": "%41",
    "escapes twice": "%2541",
    "escapes often": "%25",
    "macros": "%a%",
    "macros without an end": "%a",
    "hashes": "#a",
    "dollars": "$a",
    "exclamations": "!!!a",
    "separators": "?a",
    "parameters inside": "?a=",
    "semicolons": ";",
    "html": "&lt",
    "html numbers": "&#1",
    "html names": "\u00a4a",
    "conversion": "[conversion",
    "dots": "a.",
    "dashes": "-",
    "plus": "+",
    "joints": "undefined-",
    "null": "null",
    "keys": "pbk_",
    "whole keys": "pbk_0123456789ab_a",
    "secrets": "whsec_",
    "tokens": "eyJhbGciOiJI",
    "tokens and dots": "eyJhbGciOiJI.",
    "wide letters": "\U0001f600",
    "combining": "a\u0301",
    "ligatures": "\ufdfa",
    "capital sharp s": "\u1e9e",
    "turned": "\u202e",
}

TEXTS: Mapping[str, _Made] = {
    **{name: _filled(piece) for name, piece in _PIECES.items()},
    **{f"{name} to no end": _filled(piece, ends="\u00e9x") for name, piece in _PIECES.items()},
    **{
        f"{begins} and {piece!r}": _filled(piece, begins, "!")
        for begins in ("$1", "-1", "{", "[object ", "Optional(", "1.")
        for piece in (" ", "1", "1,", "a", "a.", "{", "_", ")")
    },
    "an exponent": lambda size: "1e" + "9" * (size - 2),
    "a fraction": lambda size: "0." + "3" * (size - 2),
    "a long negative": lambda size: "-" + "9" * (size - 1),
    "an exponent of three digits": lambda _: "1e999",
    "a small exponent": lambda _: "123456789012345678901234567890123456789012345678901234567e-999",
}
