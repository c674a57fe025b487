"""Owns a parameter's name as it was meant: without what was damaged around it."""

import string

from service.core.white_space import BLANKS

_AROUND = BLANKS + string.punctuation.replace("_", "")


def plain_name(name: str) -> str:
    """Return a name in small letters, without white space, signs and brackets around it: `status` of ` "Status[0]"`."""
    return name.strip(_AROUND).partition("[")[0].rstrip(_AROUND).lower()
