"""Owns broken separators: a parameter inside another one's text, as in `a?value=1`, `a;value=1`, `a%26value=1`."""

import re
from collections.abc import Container, Iterator
from typing import NamedTuple

from service.core.sender import Field, Sender

_INSIDE = re.compile(r"([?;,&|])([^?;,&|=\s]{1,64})=")
_LOOKED_AT = 1024  # characters


class Glued(NamedTuple):
    """What stands in a text as it came, `?Value=`, and the sender's name that is meant by it, `value`."""

    shown: str
    meant: str

    @property
    def said(self) -> str:
        """What is wrong with the text."""
        return f"holds {self.shown!a}, another parameter: a plain & is missing before it"


def parameters_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield what stands in a text like another parameter, as it came, and the name: `?Value=` and `Value`."""
    return ((found[0], found[2]) for found in _INSIDE.finditer(text[:_LOOKED_AT]))


def glued_in(text: str, sender: Sender, without: Container[Field] = ()) -> Glued | None:
    """Return the first of this sender's parameters inside a text, without those of some fields; None: none is."""
    found = ((shown, sender.own_name(name)) for shown, name in parameters_in(text))
    return next((Glued(shown, own) for shown, own in found if own and sender.fields[own] not in without), None)
