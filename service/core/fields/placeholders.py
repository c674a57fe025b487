"""Owns placeholders: what stands where a value should be, because a platform had none or did not replace its macro.

Every pattern is linear, and looks at the beginning of a text only. docs/strictness.md lists what is a placeholder, and
which odd texts are ids all the same.
"""

import re
import string
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import unquote

from service.core.outcome import Outcome, Rejected
from service.core.sender import Field

_LOOKED_AT = 256  # characters
_IDS: frozenset[Field] = frozenset({"click_id", "transaction_id"})

BARE_TOKENS: Mapping[Field, frozenset[str]] = {
    "click_id": frozenset(
        """
        click_id clickid click-id clickId clickID ClickId ClickID Click_ID CLICK_ID CLICKID subid sub_id subId SUBID
        SUB_ID externalid external_id aff_sub cnv_id conversion REPLACE REPLACE_ME
        """.split()  # noqa: SIM905 - a table of words reads better than quoted ones
    ),
    "value": frozenset({"value", "payout", "amount", "VALUE", "OPTIONAL"}),
    "currency": frozenset({"currency", "CURRENCY"}),
    "goal": frozenset(),  # a goal may well be called "goal"
    "transaction_id": frozenset(
        {"transaction_id", "transactionid", "transactionId", "txid", "TXID", "order_id", "TRANSACTION_ID", "OPTIONAL"}
    ),
    "conversion_status": frozenset({"conversion_status", "status", "STATUS", "OPTIONAL"}),
}

TEMPLATE_WORDS = frozenset({"REPLACE", "REPLACE_ME", "OPTIONAL"})  # of a platform's form: no token is called so
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
    """.split()  # noqa: SIM905 - the same
    )
    | {"not set", "not found", "not provided", "not available", "-1", "0" * 24, "0" * 32}
)
WORDS = frozenset(form for word in _NONE for form in (word, word.upper(), word.capitalize())) | {
    *("NaN", "NoneType", "DBNull", "notSet", "NotSet", "notFound", "NotFound", "%s", "%d", "%1$s", "%@"),
}
_SHEET_ERROR = re.compile(r"#(?:[A-Z][A-Z0-9/]*[!?]|N/A|NV)")  # #REF!, #NAME?, #DIV/0!
_OBJECT = re.compile(r"\[object [A-Za-z]+\]")

_NAME = r"[A-Za-z_][A-Za-z0-9_.:\-]*"
_WORD = r"[A-Za-z][A-Za-z_.\-]*[0-9]{0,2}"  # letters, as macros have; an id of random letters mixes digits in
_BRACED = re.compile(rf"\{{\s*{_NAME}\s*\}}")  # {x} ${x} {{x}}: anywhere, because macros are joined: {pubfeed}_{subid}
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
_TOKENS = frozenset(
    """
    clickid subid externalid affsub affclickid cnvid cid tid txid transactionid orderid conversionid
    leadid userid visitorid requestid eventid gclid fbclid payout amount revenue currency status replace replaceme
    """.split()  # noqa: SIM905 - the same
)
_GOAL_TOKENS = frozenset({"goal", "goalid", "goalname", "event", "eventid", "eventname", "eventtype", "conversiontype"})


class Placeholder(NamedTuple):
    """What stands where a value should be: a token's bare name, a word for "none", a macro, or half a macro."""

    kind: Literal["token", "word", "macro", "half"]
    shown: str


def placeholder_in(field: Field, text: str, own: frozenset[str] = frozenset()) -> Placeholder | None:
    """Return the placeholder that a text is or holds, None if there is none. `own` are the sender's, in lower case."""
    if text in BARE_TOKENS[field]:
        return Placeholder("token", text)
    if field in _IDS and (text in WORDS or (own and text.lower() in own)):
        return Placeholder("word", text)
    if text.isalnum():
        return None
    if field in _IDS:
        return _in_id(text[:_LOOKED_AT])
    macro = _in_label(text[:_LOOKED_AT]) if field == "goal" else _in_value(text[:_LOOKED_AT])
    return Placeholder("macro", macro) if macro else None


def reject_placeholder(field: Field, text: str, own: frozenset[str] = frozenset()) -> None:
    """Raise `Rejected` for a text that is a placeholder or holds one, and for JSON that is no text."""
    if type(text) is not str:
        raise Rejected(_NO_TEXT[field], f"{field} is JSON that is neither text nor a number: {text[:80]!a}")
    if found := placeholder_in(field, text, own):
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


def _in_id(text: str) -> Placeholder | None:
    """Find a placeholder in what should be an id, also where it was percent-encoded twice."""
    bare = text.strip(_AROUND).lower()
    if not bare.strip("-") or bare in _NONE or _SHEET_ERROR.fullmatch(text) or _OBJECT.fullmatch(text):
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
