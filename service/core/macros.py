"""Owns macro expansion: a URL template and a table of values in, a URL with every `{macro}` replaced out."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

_MACRO = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_AUTHORITY = re.compile(r"[^/?#]*//[^/?#]*")  # scheme, user, host and port: the part that says who is called


class MacroError(ValueError):
    """A template that cannot be expanded; the message is one sentence for whoever wrote the template."""


def names(template: str) -> frozenset[str]:
    """Return the macros a template uses, known or not."""
    return frozenset(_MACRO.findall(template))


def check(template: str, known: Collection[str]) -> None:
    """Raise MacroError for an unknown macro, and for one that would let a value choose the host that is called."""
    unknown = sorted(names(template).difference(known))
    if unknown:
        raise MacroError(f"unknown macro {_listed(unknown)}; known are {_listed(sorted(known)) or 'none'}")
    authority = _AUTHORITY.match(template)
    if authority and (steering := names(authority[0])):
        raise MacroError(f"the host must be fixed, but {_listed(sorted(steering))} stands before the path")


def expand(template: str, values: Mapping[str, str]) -> str:
    """Replace every `{macro}` by its value, percent-encoded so that only RFC 3986's unreserved characters stay.

    Joined macros (`{pubfeed}_{subid}`) work; all other text, other braces included, is left as it is. A value is
    never expanded again, so no sender can smuggle a macro in. Raises MacroError as `check` does.
    """
    check(template, values.keys())
    return _MACRO.sub(lambda found: _encoded(found[1], values[found[1]]), template)


def _encoded(name: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise MacroError(f"the value of {{{name}}} is not valid text: it holds a lone surrogate") from error


def _listed(macros: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in macros)
