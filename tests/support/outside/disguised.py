"""Owns the ways in which a secret may be written: by URLs, HTML, JSON, mails, and by whoever copies it."""

import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from urllib.parse import quote

Written = Callable[[str], str]


def percent(text: str) -> str:
    """Write every character as URLs may."""
    return "".join(f"%{ord(letter):02x}" for letter in text)


def _at(place: int, write: Written) -> Written:
    return lambda secret: secret[:place] + write(secret[place : place + 1]) + secret[place + 1 :]


def _behind(place: int, more: str) -> Written:
    return lambda secret: secret[:place] + more + secret[place:]


def _spread(more: str, every: int) -> Written:
    return lambda secret: more.join(secret[at : at + every] for at in range(0, len(secret), every))


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


def _html(text: str) -> str:
    return "".join(f"&#{ord(letter)};" for letter in text)


def _base64(before: str) -> Written:
    return lambda secret: b64encode(f"{before}{secret}".encode()).decode()


# What can be written into a query, a form, JSON or CSV without harm to what is around it, unless it is `BARE`.
WRITTEN: dict[str, Written] = {
    "as it is": str,
    "percent, first": _at(0, percent),
    "percent, second": _at(1, percent),
    "percent, underscore": lambda secret: secret.replace("_", "%5F"),
    "percent, everything": percent,
    "percent, in the secret": _at(30, percent),
    "percent, at the end": lambda secret: secret[:-1] + percent(secret[-1]),
    "percent, twice": lambda secret: quote(percent(secret)),
    "percent, three times": lambda secret: quote(quote(percent(secret))),
    "percent, twice in the middle": _at(25, lambda letter: quote(percent(letter))),
    "percent, ten times": _at(0, lambda letter: percent(letter).replace("%", "%" + "25" * 10)),
    "percent, %u": _at(0, lambda letter: f"%u{ord(letter):04x}"),
    "percent, space": _behind(30, "%20"),
    "percent, line end": _behind(30, "%0D%0A"),
    "percent, nul": _behind(30, "%00"),
    "percent, tab in the prefix": _behind(1, "%09"),
    "percent, zero width space": _behind(33, "%E2%80%8B"),
    "percent, base64": lambda secret: quote(_base64("")(secret), safe=""),
    "json, first": _at(0, _unicode),
    "json, everything": _unicode,
    "json, in the secret": _at(28, _unicode),
    "json, in json": lambda secret: json.dumps(_unicode(secret))[1:-1],
    "json, in json in json": lambda secret: json.dumps(json.dumps(_unicode(secret))[1:-1])[1:-1],
    "json, braced": _at(0, lambda letter: f"\\u{{{ord(letter):x}}}"),
    "json, hex": _at(2, lambda letter: f"\\x{ord(letter):02x}"),
    "json, line end": _behind(30, "\\n"),
    "json, percent": lambda secret: percent(_unicode(secret)),
    "html, decimal": _at(0, _html),
    "html, everything": _html,
    "html, underscore": lambda secret: secret.replace("_", "&lowbar;").replace("-", "&#45;"),
    "html, hex": _at(30, lambda letter: f"&#x{ord(letter):X};"),
    "html, without its end": _at(0, lambda letter: f"&#{ord(letter):05}"),
    "html, twice": lambda secret: escape(_html(secret)),
    "html, percent": lambda secret: quote(_html(secret)),
    "split by a space": _behind(30, " "),
    "split by a plus": _behind(30, "+"),
    "split in the prefix": _behind(1, " "),
    "split three times": _spread(" ", 16),
    "split everywhere": _spread(" ", 1),
    "split by tabs": _spread("\t", 8),
    "base64": _base64(""),
    "base64, of a user": _base64("u:"),
    "base64, of another user": _base64("us:"),
    "base64, of a third": _base64("use:"),
    "base64, for URLs": lambda secret: urlsafe_b64encode(f"x{secret}".encode()).decode().rstrip("="),
    "base64, of what is escaped": lambda secret: _base64("key=")(_at(30, percent)(secret)),
    "a URL": lambda secret: quote(f"https://host.example/?key={secret}&x=1", safe=""),
    "a URL in a URL": lambda secret: quote(quote(f"https://host.example/?key={secret}", safe=""), safe=""),
    "bearer": lambda secret: f"Bearer+{secret}",
    "in brackets": lambda secret: f"[{secret}]",
}
BARE: dict[str, Written] = {
    "split by a line end": _behind(30, "\r\n"),
    "split by a folded line": _behind(30, "\r\n "),
    "split by quotes": _behind(30, '""'),
    "split by a soft line end": _behind(30, "=\r\n"),
    "mail": lambda secret: secret.replace("_", "=5F"),
    "base64 in lines": lambda secret: encodebytes(f"user:{secret}".encode()).decode(),
    "utf-16": lambda secret: "".join(f"{letter}\0" for letter in secret),
    "utf-16, big end first": lambda secret: "".join(f"\0{letter}" for letter in secret),
    "utf-32": lambda secret: "".join(f"{letter}\0\0\0" for letter in secret),
    "no utf-8": _behind(30, "\xff"),
}
EVERY = {**WRITTEN, **BARE}


def left_of(secret: str, kept: bytes, longest: int = 12) -> str:
    """Return a run of more characters of a secret than may be kept that is in what is kept; empty: there is none."""
    runs = (secret[at : at + longest + 1] for at in range(len(secret) - longest))
    text = kept.decode("latin-1")
    return next((run for run in runs if run in text), "")
