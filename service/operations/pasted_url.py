"""Owns a URL as a person pastes it: what is surely damage of the pasting is left out at its ends, and told."""

import re
from typing import NamedTuple

from service.operations.errors import Refused

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
_WHITE = f"{_SPACES}\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"  # what has no width, mail and chat programs add
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_BROKEN = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Pasted(NamedTuple):
    """A URL without what surrounded it; `notes` say in words what was left out."""

    url: str
    notes: tuple[str, ...]


def pasted(text: str) -> Pasted:
    """Take away white space, quotation marks and angle brackets around a URL; within it nothing is changed.

    Raises Refused for a line end or another control character within it: no request can hold one.
    """
    url = text.lstrip(f"{_WHITE}{_QUOTES}<").rstrip(f"{_WHITE}{_QUOTES}>")
    if broken := _BROKEN.search(url):
        before = url[max(0, broken.start() - 20) : broken.start()]
        raise Refused(
            f"the URL is broken by {broken[0]!a} after {before!a}: no request can hold that; paste it in one line"
        )
    return Pasted(url, ("left out: what stood around the URL",) if url != text else ())
