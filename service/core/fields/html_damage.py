"""Owns HTML damage: what a page made of `&name=`. Of `&currency=` is left `¤cy=`."""

import re
from html.entities import html5
from typing import NamedTuple

# The names that HTML reads without a semicolon (HTML standard, 13.5). & itself is a separator that was not escaped, and
# `a>=1` may well be a goal.
_NAMES = {char: name for name, char in sorted(html5.items()) if not name.endswith(";") and char != "&"}
_BEYOND_ASCII = "".join(char for char in _NAMES if not char.isascii())
_EATEN = re.compile(rf"(?:[{_BEYOND_ASCII}]|[<>\"](?=[A-Za-z]))[A-Za-z0-9_]{{0,64}}=")
_ESCAPED = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_LOOKED_AT = 1024  # characters


PATTERN = f"{_EATEN.pattern}|{_ESCAPED.pattern}"


class Eaten(NamedTuple):
    """What stands in a text because of HTML; `meant` is how it began before, `&curren`: a name of HTML's."""

    said: str
    meant: str


def eaten_in(text: str) -> Eaten | None:
    """Return the first sign of HTML damage in a text, None if there is none."""
    text = text[:_LOOKED_AT]
    if found := _EATEN.search(text):
        meant = f"&{_NAMES[found[0][0]]}"
        return Eaten(f"holds {found[0]!r}, which HTML made of '{meant}{found[0][1:]}'", meant)
    if found := _ESCAPED.search(text):
        return Eaten(f"holds {found[0]!a}, which HTML writes for a character", "&")
    return None
