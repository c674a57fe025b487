"""Owns placeholders: what stands where a value should be, because a platform had none or did not replace its macro.

Every pattern is linear, and looks at the beginning of a text only. docs/strictness.md lists what is a placeholder, and
which odd texts are ids all the same.
"""

import re
import string
from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple
from urllib.parse import unquote

from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, Sender
from service.core.undecoded import Undecoded

_LOOKED_AT = 256  # characters
_IDS: frozenset[Field] = frozenset({"click_id", "transaction_id"})


def _spelled(*names: str) -> frozenset[str]:
    """Return how people and platforms write these names, each of which is words joined by `_`."""
    found: set[str] = set()
    for words in (name.split("_") for name in names):
        capitals = [word.capitalize() for word in words]
        for joint in ("_", "-", " ", ""):
            plain, title, camel = (joint.join(each) for each in (words, capitals, [words[0], *capitals[1:]]))
            found |= {plain, plain.upper(), plain.capitalize(), title, camel}
            if words[-1] == "id":
                found |= {f"{title[:-2]}ID", f"{camel[:-2]}ID"}
    return frozenset(found)


# What the trade calls an id. A click id's name is no transaction id either, and the other way round.
_ID_NAMES = """
    click_id click sub_id external_id aff_sub aff_click_id ref_id cnv_id conversion conversion_id cid gclid fbclid uuid
    guid tid txid transaction_id order_id lead_id user_id visitor_id request_id event_id
    """.split()  # noqa: SIM905 - a table of words reads better than quoted ones
_NUMBERED = [*(f"sub{number}" for number in range(1, 11)), *(f"aff_sub{number}" for number in range(1, 6))]
_ASKED_FOR = [
    form for name in ("click_id", "sub_id", "transaction_id", "id") for form in (f"your_{name}", f"{name}_here")
]
_TEMPLATE = _spelled("replace", "replace_me", "optional")  # what Voluum's and BeMob's URLs say where one must fill in
_ID_TOKENS = _spelled(*_ID_NAMES, *_ASKED_FOR) | _TEMPLATE
BARE_TOKENS: Mapping[Field, frozenset[str]] = {
    "click_id": _ID_TOKENS | _spelled(*_NUMBERED),  # a transaction id `sub1` may well be the first subscription
    "value": _spelled("value", "payout", "amount", "revenue") | _TEMPLATE,
    "currency": _spelled("currency") | _TEMPLATE,
    "goal": frozenset({"REPLACE", "REPLACE_ME", "OPTIONAL"}),  # a goal may well be called "goal", or "optional"
    "transaction_id": _ID_TOKENS,
    "conversion_status": _spelled("conversion_status", "status") | _TEMPLATE,
}
_SHORTEST_NAME = 3  # letters of a sender's own name that is no id: `c=c` may well be one

TEMPLATE_WORDS = _TEMPLATE
# What programs write for a variable that has no value.
EMPTY_VARIABLES = frozenset({"undefined", "null", "none", "nil", "nan", "n/a", "na", "nullptr", "nonetype", "dbnull"})
# What programs and people write for "none". `test` and `0` are no placeholders: people try with the one, and series
# of numbers begin with the other.
_NONE = (
    EMPTY_VARIABLES
    | frozenset(
        """
    true false unknown unset notset not_set not-set
    notfound not_found not-found noclickid no_click_id no-click-id noclick 00000000-0000-0000-0000-000000000000
    nsnull void empty
    """.split()  # noqa: SIM905 - the same
    )
    | {"not set", "not found", "not provided", "not available", "-1", "0" * 24, "0" * 32}
)
_NOTHING = ("undefined", "null", "none", "nil", "nan")  # what programs make of a variable that has no value
_REPEATED = {joint.join(words) for joint in ("-", "") for n in (2, 3) for words in product(_NOTHING, repeat=n)}
WORDS = frozenset(
    form for word in _NONE | _REPEATED for form in (word, word.upper(), word.capitalize(), word.title())
) | {
    *("NaN", "NaN-NaN", "NoneType", "DBNull", "NSNull", "Array", "notSet", "NotSet", "notFound", "NotFound"),
    *("%s", "%d", "%1$s", "%@", r"\N"),
}
_SHEET_ERROR = re.compile(r"#(?:[A-Z][A-Z0-9/]*[!?]|N/A|NV)")  # #REF!, #NAME?, #DIV/0!
_PRINTED = re.compile(  # what a program shows of an object: JavaScript, Swift and Java, Java, .NET
    r"\[object [A-Za-z]+\]|Optional(?:\(.*\)|\[.*\]|\.empty)|(?:[a-z_]\w*\.)+[A-Z][\w$]*@[0-9a-f]{1,8}"
    r"|System\.[A-Za-z.]+(?:\[\])?",
    re.ASCII | re.DOTALL,
)
_JOINTS = re.compile(r"[_\-.,:;|/+~ ]+")

_NAME = r"[A-Za-z_][A-Za-z0-9_.:\-]*"
_WORD = r"[A-Za-z][A-Za-z_.\-]*[0-9]{0,2}"  # letters, as macros have; an id of random letters mixes digits in
# {x} ${x} {{x}} {x|lower}: anywhere, because macros are joined: {pubfeed}_{subid}
_BRACED = re.compile(rf"\{{\s*{_NAME}\s*(?:\|[^{{}}]*)?\}}")
_HALF_BRACED = re.compile(rf"\{{\s*{_NAME}\s*(?:\|[^{{}}]*)?")
_UNMISTAKABLE = re.compile(rf"\[\[{_NAME}\]\]|%{{1,2}}{_NAME}%{{1,2}}|#{_NAME}#|!!!{_NAME}!!!|\$\$?{_NAME}\$\$?")
_WHOLE = re.compile(
    rf"\[{_NAME}\]|<.*>|\(\(?{_NAME}\)\)?|\$[(\[]{_NAME}[)\]]|%\({_NAME}\)s|\*\|{_NAME}\|\*|([~!:@|^*])\1{{0,2}}{_WORD}\1{{1,3}}",
    re.DOTALL,
)
_VARIABLE = re.compile(rf"\${_NAME}")  # an id may well begin with $
_JOINED = re.compile(
    rf"<{_NAME}>|(?<![A-Za-z0-9])(?:\[\[?{_NAME}\]|%{{1,2}}{_NAME}%|#{_NAME}#|!!!{_NAME}!!!)(?![A-Za-z0-9])"
)
_HALF = re.compile(r"[\[<][^\[\]<>]*|[^\[\]<>]*[\]>]")
_ID_IN_BRACKETS = re.compile(r"[{(\[<](?:[0-9]+|[0-9A-Fa-f\-]{8,})[})\]>]")
_AROUND = (string.punctuation + string.whitespace).replace("-", "")
BRACKETS = (("{", "}"), ("[", "]"), ("<", ">"))  # of macros
_AROUND_GOALS = "[](){}<>$%#@!"
_APART = str.maketrans("", "", "_- ")
_TOKENS = frozenset(token.lower().translate(_APART) for tokens in BARE_TOKENS.values() for token in tokens)
_GOAL_TOKENS = frozenset({"goal", "goalid", "goalname", "event", "eventid", "eventname", "eventtype", "conversiontype"})


class Placeholder(NamedTuple):
    """What stands where a value should be: a token's bare name, a word for "none", a macro, or half a macro."""

    kind: Literal["token", "word", "macro", "half"]
    shown: str


def placeholder_in(field: Field, text: str, sender: Sender) -> Placeholder | None:
    """Return the placeholder that a text of this sender's is or holds, None if there is none."""
    if text in BARE_TOKENS[field] or (text in sender.fields and _is_own_name(field, text, sender)):
        return Placeholder("token", text)
    if field in _IDS and (text in WORDS or (sender.placeholders and text.lower() in sender.placeholders)):
        return Placeholder("word", text)
    if text.isalnum():
        return None
    if field in _IDS:
        return _in_id(text[:_LOOKED_AT])
    if field == "goal" and _HALF_BRACED.fullmatch(text[:_LOOKED_AT]):
        return Placeholder("half", text)
    macro = _in_label(text[:_LOOKED_AT]) if field == "goal" else _in_value(text[:_LOOKED_AT])
    return Placeholder("macro", macro) if macro else None


def is_empty_variable(text: str) -> bool:
    """Tell whether a text is what programs write for a variable without a value: in what is optional, nothing."""
    return text.strip().lower() in EMPTY_VARIABLES


def reject_placeholder(field: Field, text: str, sender: Sender) -> None:
    """Raise `Rejected` for a text that is a placeholder or holds one, for JSON that is no text, and for no text."""
    if isinstance(text, Undecoded):
        raise text.rejected()
    if type(text) is not str:
        raise Rejected(_NO_TEXT[field], f"{field} is JSON that is neither text nor a number: {text[:80]!a}")
    if found := placeholder_in(field, text, sender):
        raise Rejected(Outcome.UNEXPANDED_MACRO, f"{field} {_SAID[found.kind]} {found.shown[:80]!a}")


_NO_TEXT: Mapping[Field, Outcome] = {
    "click_id": Outcome.INVALID_CLICK_ID,
    "value": Outcome.INVALID_VALUE,
    "currency": Outcome.INVALID_CURRENCY,
    "goal": Outcome.MALFORMED_BODY,
    "transaction_id": Outcome.MALFORMED_BODY,
    "conversion_status": Outcome.INVALID_STATUS,
}
_SAID = {
    "token": "is the token's bare name",
    "word": "is the placeholder",
    "macro": "holds",
    "half": "is half a macro:",
}


def _is_own_name(field: Field, text: str, sender: Sender) -> bool:
    """Tell whether a text is the name of its own parameter, or one id's name in the place of another."""
    named = sender.fields[text]
    return len(text) >= _SHORTEST_NAME and field != "goal" and (named == field or {named, field} <= _IDS)


def _in_id(text: str) -> Placeholder | None:
    """Find a placeholder in what should be an id, also where it was percent-encoded twice."""
    bare = text.strip(_AROUND).lower()
    nothing = bare.startswith(_NOTHING) and all(part in _NOTHING for part in _JOINTS.split(bare))
    if nothing or not bare.strip("-") or bare in _NONE or _SHEET_ERROR.fullmatch(text) or _PRINTED.fullmatch(text):
        return Placeholder("word", text)
    if _ID_IN_BRACKETS.fullmatch(text):
        return None
    is_half = any(text.count(left) != text.count(right) for left, right in BRACKETS)
    if len(bare) < len(text) and _is_token(bare, _TOKENS):
        return Placeholder("half" if is_half else "macro", text)
    if macro := _unmistakable(text) or _shown(_WHOLE.fullmatch(text) or _JOINED.search(text)):
        return Placeholder("macro", macro)
    if "{" in text or "}" in text or _HALF.fullmatch(text):
        return Placeholder("half" if is_half else "macro", text)
    again = unquote(text) if "%" in text else text
    return _in_id(again) if again != text else None


def _in_label(text: str) -> str | None:
    """Find an unmistakable macro in a goal: (none), (direct) and [VIP] are goals."""
    bare = text.strip(_AROUND_GOALS)
    return _unmistakable(text) or (text if bare != text and _is_token(bare, _GOAL_TOKENS) else None)


def _in_value(text: str) -> str | None:
    """Find a macro in what should be an amount, a currency or a status."""
    return _unmistakable(text) or _shown(_WHOLE.fullmatch(text) or _VARIABLE.fullmatch(text))


def _unmistakable(text: str) -> str | None:
    if text.startswith("__") and text.endswith("__") and text.isupper():  # __CLICKID__
        return text
    braced = None if _ID_IN_BRACKETS.fullmatch(text) else _BRACED.search(text)
    return _shown(braced or _UNMISTAKABLE.fullmatch(text))


def _shown(found: re.Match[str] | None) -> str | None:
    return found[0] if found else None


def _is_token(bare: str, tokens: frozenset[str]) -> bool:
    return bare.lower().translate(_APART) in tokens
