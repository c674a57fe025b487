"""Owns placeholders: what stands where a value should be, because a platform did not replace its macro."""

import re
from collections.abc import Mapping

from service.core.outcome import Outcome, Rejected
from service.core.sender import Field

_NAME = r"[A-Za-z_][A-Za-z0-9_.:\-]*"
_BRACED = re.compile(rf"\{{\s*{_NAME}\s*\}}")  # {x} ${x} {{x}}: anywhere, because macros are joined: {pubfeed}_{subid}
_WHOLE = re.compile(rf"\[{_NAME}\]|<{_NAME}>|\({_NAME}\)|%{_NAME}%|#{_NAME}#|\${_NAME}\$?|__[A-Z][A-Z0-9_]*__")
_GUID = re.compile(r"[{(\[][0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}[})\]]")  # an id that may wear brackets
BARE_TOKENS: Mapping[Field, frozenset[str]] = {
    "click_id": frozenset(
        {"click_id", "clickid", "click-id", "clickId", "CLICK_ID", "subid", "sub_id", "conversion", "REPLACE"}
    ),
    "value": frozenset({"value", "payout", "amount", "VALUE", "OPTIONAL"}),
    "currency": frozenset({"currency", "CURRENCY"}),
    "goal": frozenset(),  # a goal may well be called "goal"
    "transaction_id": frozenset({"transaction_id", "txid", "TRANSACTION_ID", "OPTIONAL"}),
    "conversion_status": frozenset({"conversion_status", "status", "STATUS", "OPTIONAL"}),
}


def is_bare_token(field: Field, text: str) -> bool:
    """Tell whether a text is the name of a token, without its braces."""
    return text in BARE_TOKENS[field]


def reject_placeholder(field: Field, text: str) -> None:
    """Raise `Rejected` for a text that is a macro, or the bare name of one."""
    if is_bare_token(field, text):
        raise Rejected(Outcome.UNEXPANDED_MACRO, f"{field} is the token's bare name {text!a}")
    if text.isalnum():
        return
    macro = _BRACED.search(text) or _WHOLE.fullmatch(text)
    if macro and not _GUID.fullmatch(text):
        raise Rejected(Outcome.UNEXPANDED_MACRO, f"{field} holds {macro[0][:80]!a}")
