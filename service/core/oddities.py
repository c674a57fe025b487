"""Owns what looks odd in an accepted postback: the mistakes that cost it a field, or will cost the next one more.

Pure. It never changes an outcome. Cheap where nothing is odd, because it runs for every postback.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import cast

from service.core.advice import on_placeholder, on_white_space
from service.core.amount_mistakes import amount_as_click_id, rounded
from service.core.decoding import Pairs
from service.core.fields.amounts import is_rounded
from service.core.fields.placeholders import Placeholder, is_empty_variable
from service.core.fields.separators import parameters_in
from service.core.mistakes import (
    double_encoded,
    first_of,
    glued_to_parameter,
    half_replaced,
    html_escaped,
    misspelt,
    near_miss,
)
from service.core.mistakes import unknown_status as on_unknown_status
from service.core.names import plain_name
from service.core.outcome import Diagnosis, Mistake
from service.core.parameters import claimed, is_unread
from service.core.postback import TEST, Params, Postback, says_test
from service.core.sender import Field, Sender
from service.core.sent import Sent
from service.core.trade_names import field_elsewhere, first_text, meaning_of, value_elsewhere
from service.core.undecoded import Undecoded
from service.core.white_space import trimmed


def diagnose_accepted(postback: Postback, sender: Sender, pairs: Pairs | None = None) -> Diagnosis | None:
    """Say what looks odd in an accepted postback, of which `pairs` may be at hand; None when nothing does."""
    raw = postback.raw
    if raw.body and raw.query and is_unread(raw, pairs):
        return Diagnosis(Mistake.UNREAD_BODY, "Send the body as JSON or a form, or none: only the URL could be read.")
    if postback.params and (found := _in_parameters(postback, sender)):
        return found
    click_id, value = postback.click_id, postback.value
    if not postback.value_micros and (found := _value_in_label(postback, sender)):
        return found
    plain = click_id.replace("-", "").isalnum() or not _ODD.search(click_id)
    right = not value or (len(value) <= _EXACT and "-" not in value) or not is_rounded(value, sender.numbers)
    return None if plain and right else first_of(_IN_FIELDS, _sent(postback, sender))


def _in_parameters(postback: Postback, sender: Sender) -> Diagnosis | None:
    """Find what is odd in the parameters that no field took: money first."""
    params = postback.params
    names, texts = tuple(params), params.values()
    plain = {*map(type, texts)} == {str} and "=" not in "".join(cast("Iterable[str]", texts))
    if plain and not _is_doubtful(names, tuple(sender.fields)):
        return None
    sent = _sent(postback, sender)
    misspells = next((one for name in names if (one := _misspelt_value(name, postback, sender))), None)
    if not postback.value_micros and (found := misspells or value_elsewhere(params, sender)):
        return found
    if found := first_of((html_escaped, near_miss, glued_to_parameter), sent) or _misspelt_test(params):
        return found
    if postback.status_parameter:
        return on_unknown_status(postback.status_parameter, sender)
    elsewhere = field_elsewhere(params, _missing(postback, sender), sender)
    return elsewhere or _not_as_sent(params, sender) or _undecoded(params)


@lru_cache(maxsize=256)  # a sender's other names are the same again and again
def _is_doubtful(names: tuple[str, ...], own: tuple[str, ...]) -> bool:
    """Tell whether one of the names is the sender's, written wrongly or not, or one that others use for a field."""
    lowered = {TEST, *(name.lower() for name in own)}
    return any(
        name.startswith("amp;")
        or not lowered.isdisjoint((name.lower(), plain_name(name)))
        or meaning_of(name) not in (None, "click_id")
        for name in names
    )


def _misspelt_value(name: str, postback: Postback, sender: Sender) -> Diagnosis | None:
    """Find the sender's own name for a value, in another case or damaged, where no value was sent."""
    own = None if postback.value or name in sender.fields else sender.own_name(name)
    return misspelt(name, own) if own and sender.fields[own] == "value" else None


def _misspelt_test(params: Params) -> Diagnosis | None:
    """Find what says that it is a test under a name in another case, or damaged: it was counted."""
    odd = (name for name, sent in params.items() if name != TEST and plain_name(name) == TEST and says_test(sent))
    return next((misspelt(name, TEST) for name in odd), None)


def _missing(postback: Postback, sender: Sender) -> frozenset[Field]:
    """Return which of these fields were not sent; a transaction id is missed only where one would count."""
    missing: dict[Field, object] = {
        "conversion_status": postback.conversion_status,
        "currency": postback.currency,
        "transaction_id": postback.transaction_id or sender.duplicates == "click",
    }
    return frozenset(field for field, text in missing.items() if not text)


def _not_as_sent(params: Params, sender: Sender) -> Diagnosis | None:
    """Find a field that was read otherwise than it was sent: a word for "none", or an id with white space around it."""
    for name in filter(sender.fields.__contains__, params):
        field, text = sender.fields[name], first_text(params[name])
        if field in _OPTIONAL and is_empty_variable(text):
            return on_placeholder(Placeholder("word", text.strip()), field, name, sender)
        if trimmed(text) != (text if field in _NAMING else text.strip(" ")):  # spaces in a number were never a mistake
            return on_white_space(name)
    return None


def _undecoded(params: Params) -> Diagnosis | None:
    """Find a parameter that could not be decoded; no field could not, because it would have been rejected."""
    texts = chain.from_iterable([sent] if isinstance(sent, str) else sent for sent in params.values())
    if any(isinstance(text, Undecoded) for text in texts):
        how = "Percent-encode each parameter as UTF-8, and a literal % as %25"
        return Diagnosis(Mistake.BROKEN_ENCODING, f"{how}: one that no field is read from was kept as it was sent.")
    return None


_OPTIONAL: frozenset[Field] = frozenset({"value", "currency", "conversion_status"})
_NAMING: frozenset[Field] = frozenset({"click_id", "goal", "transaction_id"})


def _value_in_label(postback: Postback, sender: Sender) -> Diagnosis | None:
    """Find an amount under a name that others use for it inside an id or a label: `tid=a%26amount=10`."""
    for text in (postback.click_id, postback.goal, postback.transaction_id):
        if "=" in text and any(meaning_of(name) == "value" for _, name in parameters_in(text)):
            own = sender.name_of("value")
            advice = f"Put a plain & before the value, and send it as {own}: it came inside another parameter."
            return Diagnosis(Mistake.OTHER_NAME, advice)
    return None


def _sent(postback: Postback, sender: Sender) -> Sent:
    fields: dict[Field, str | None] = {
        "click_id": postback.click_id,
        "value": postback.value,
        "currency": postback.currency,
        "goal": postback.goal,
        "transaction_id": postback.transaction_id,
    }
    return Sent(claimed(postback.raw), sender, {name: text for name, text in fields.items() if text})


_EXACT = 7  # characters: a seventh decimal takes one more, or a negative exponent
_ODD = re.compile(r"[%?;,&|{}\[\]<>]|^-?[0-9]+[.,][0-9]+$")  # in a click id: worth a closer look
_IN_FIELDS = (double_encoded, half_replaced, amount_as_click_id, rounded)
