"""Owns white space around an id or a label: it is no part of the text."""

BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u2060\ufeff"


def trimmed(text: str) -> str:
    """Return a text without the white space around it; JSON that is no text, and what was not decoded, as it is."""
    return text.strip(BLANKS) if type(text) is str else text
