"""Owns broken separators: a parameter inside another one's text, as in `a?value=1`, `a;value=1`, `a%26value=1`."""

import re
from typing import NamedTuple

from service.core.sender import Sender

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


def glued_in(text: str, sender: Sender) -> Glued | None:
    """Return the first of this sender's parameters inside a text, None if there is none."""
    own = {name.lower(): name for name in sender.fields}
    inside = (found for found in _INSIDE.finditer(text[:_LOOKED_AT]) if found[2].lower() in own)
    return next((Glued(found[0], own[found[2].lower()]) for found in inside), None)
