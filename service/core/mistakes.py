"""Owns the detector of integration mistakes: what the person at the other end must change, in one sentence.

Pure. It looks at rejected postbacks, and at accepted ones that look odd. It never changes an outcome.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache

from service.core.advice import on_damage, on_half_a_macro, on_placeholder
from service.core.amount_mistakes import amount_as_click_id, currency_sign, decimal_comma, rounded, swapped
from service.core.decoding import Pairs
from service.core.fields.amounts import is_rounded
from service.core.fields.html_damage import eaten_in
from service.core.fields.identifiers import is_shortened
from service.core.fields.placeholders import BRACKETS, EMPTY_VARIABLES, Placeholder, placeholder_in
from service.core.fields.separators import glued_in
from service.core.hints import Said, hint_for
from service.core.outcome import Diagnosis, Mistake, Outcome, Rejected
from service.core.parameters import claimed, is_unread
from service.core.parsing import claimed_click_id, claimed_fields, claims_test
from service.core.postback import Postback, RawPostback, Rejection
from service.core.presets import EZMOB
from service.core.sender import Field, Sender
from service.core.sent import Sent
from service.core.trade_names import TRADE_NAMES, called_otherwise, names_a_value, value_elsewhere


def diagnose_rejected(outcome: Outcome, pairs: Pairs, sender: Sender) -> Diagnosis | None:
    """Say what was done wrong in a rejected postback; None when no known mistake fits.

    `pairs` is what could be read of it (`parsing.claimed`).
    """
    detectors = _DETECTORS.get(outcome)
    return _first(detectors, Sent(pairs, sender, refused=_REFUSED.get(outcome))) if detectors else None


def rejection_of(raw: RawPostback, sender: Sender | None, rejected: Rejected) -> Rejection:
    """Return the rejection to keep. Without a known sender nothing else that the postback claims is believed."""
    raw = raw._replace(is_test=True) if rejected.is_test else raw
    pairs = claimed(raw)
    click_id = claimed_click_id(pairs, sender or EZMOB)
    if sender is None:
        return Rejection(raw, None, rejected.outcome, rejected.detail, click_id, retry_after=rejected.retry_after)
    said = Said(sender, raw.door, claimed_fields(pairs, sender), pairs)
    return Rejection(
        raw,
        sender.name,
        rejected.outcome,
        rejected.detail,
        click_id,
        diagnose_rejected(rejected.outcome, pairs, sender),
        raw.is_test or claims_test(pairs),
        rejected.retry_after,
        hint=hint_for(rejected.outcome, said),
        value=said.fields.get("value", "")[:_SHOWN] or None,
    )


def diagnose_accepted(postback: Postback, sender: Sender) -> Diagnosis | None:
    """Say what looks odd in an accepted postback. Cheap where nothing does, because it runs for every postback."""
    raw = postback.raw
    if raw.body and raw.query and is_unread(raw):
        return Diagnosis(Mistake.UNREAD_BODY, "Send the body as JSON or a form, or none: only the URL could be read.")
    click_id = postback.click_id
    plain = click_id.replace("-", "").isalnum() or not _ODD.search(click_id)
    params, value = postback.params, postback.value
    nameless = params and not value and names_a_value(tuple(params)) and not _misspells_value(params, sender)
    if nameless and (elsewhere := value_elsewhere(params, sender)):
        return elsewhere  # money first
    if postback.status_parameter and not _odd_names(tuple(params), tuple(sender.fields)):
        return _unknown_status(postback.status_parameter, sender)
    right = not value or (len(value) <= _EXACT and "-" not in value) or not is_rounded(value, sender.numbers)
    if plain and right and not (params and _odd_names(tuple(params), tuple(sender.fields))):
        return None
    fields: dict[Field, str | None] = {
        "click_id": click_id,
        "value": postback.value,
        "currency": postback.currency,
        "goal": postback.goal,
        "transaction_id": postback.transaction_id,
    }
    sent = Sent([(name, "") for name in params], sender, {name: text for name, text in fields.items() if text})
    return _first(_ODDITIES, sent)


_SHOWN = 80  # characters of a value that is none
_EXACT = 7  # characters: a seventh decimal takes one more, or a negative exponent


def _misspells_value(names: Iterable[str], sender: Sender) -> bool:
    """Tell whether one of the unknown names is the sender's own for a value but for its case."""
    own = _lowered(tuple(sender.fields))
    return any(sender.fields.get(own.get(name.lower(), "")) == "value" for name in names)


@lru_cache(maxsize=256)  # a sender's other names are the same again and again
def _odd_names(names: tuple[str, ...], own: tuple[str, ...]) -> bool:
    """Tell whether one of the unknown names may be our own, written wrongly."""
    lowered = _lowered(own)
    others = (name for name in names if name not in own)
    return any(name.startswith("amp;") or name.strip(_BLANKS).lower() in lowered for name in others)


@cache
def _lowered(names: tuple[str, ...]) -> Mapping[str, str]:
    return {name.lower(): name for name in names}


_Detector = Callable[[Sent], Diagnosis | None]


def _first(detectors: tuple[_Detector, ...], sent: Sent) -> Diagnosis | None:
    return next((found for detect in detectors if (found := detect(sent))), None)


def _html_escaped(sent: Sent) -> Diagnosis | None:
    if any(name.startswith("amp;") for name, _ in sent.pairs):
        return Diagnosis(
            Mistake.HTML_ESCAPED, "Separate parameters by & alone: this URL was copied from HTML and has &amp; in it."
        )
    return None


def _near_miss(sent: Sent) -> Diagnosis | None:
    """Find a name that is ours but for its case, or for spaces around it."""
    own = _lowered(tuple(sent.sender.fields))
    for name, _ in sent.pairs:
        meant = own.get(name.strip(_BLANKS).lower())
        if meant is None or name in sent.sender.fields or sent.fields.get(sent.sender.fields[meant]):
            continue
        if name.strip(_BLANKS) != name:
            return Diagnosis(Mistake.WHITESPACE, f"Take the spaces out of the parameter's name: it is {meant}.")
        return Diagnosis(Mistake.WRONG_CASE, f"Write the parameter's name as {meant}: its case matters.")
    return None


def _other_name(sent: Sent) -> Diagnosis | None:
    """Find a required field that is missing, under a name that others use for it."""
    for name, _ in sent.pairs:
        field = TRADE_NAMES.get(name.lower())
        if name in sent.sender.fields or field not in sent.sender.required or sent.fields.get(field):
            continue
        if name.lower() == "conversion":
            return Diagnosis(Mistake.CONVERSION_MACRO, _conversion_advice(sent))
        return called_otherwise(name.lower(), field, sent.sender)
    return None


def _conversion_advice(sent: Sent) -> str:
    own = sent.name("click_id")
    return f"Use {own}={{click_id}} in the postback URL: {{conversion}} is the macro of EZmob's tracking link."


def _unknown_status(name: str, sender: Sender) -> Diagnosis:
    meanings = [*sender.statuses.values()]
    words = [word for word, meaning in sender.statuses.items() if word == [*sender.statuses][meanings.index(meaning)]]
    known = ", ".join(words)
    advice = f"Send {name} in a word that is set up ({known}), or have the word that was sent set up for this sender."
    return Diagnosis(Mistake.UNKNOWN_STATUS, advice)


def _unknown_word(sent: Sent) -> Diagnosis:
    return _unknown_status(sent.name("conversion_status"), sent.sender)


def _broken_separator(sent: Sent) -> Diagnosis | None:
    """Find a second parameter inside the text of the first: `?c=1?value=2`, `c=1;value=2`, `c=1%26value=2`."""
    return _glued((*(text for _, text in sent.pairs), *sent.fields.values()), sent)


def _glued_to_label(sent: Sent) -> Diagnosis | None:
    return _glued((text for _, text in sent.suspected), sent)


def _glued(texts: Iterable[str], sent: Sent) -> Diagnosis | None:
    found = next((glued for text in texts if (glued := glued_in(text, sent.sender))), None)
    if found is None:
        return None
    advice = f"Put a plain & before {found.meant}: it was sent as part of the parameter before it."
    return Diagnosis(Mistake.BROKEN_SEPARATOR, advice)


def _eaten(sent: Sent) -> Diagnosis | None:
    """Find what HTML made of a parameter: `x¤cy=EUR` was `x&currency=EUR`."""
    found = ((field, eaten) for field, text in sent.suspected if (eaten := eaten_in(text)))
    return next((on_damage(eaten, sent.name(field)) for field, eaten in found), None)


def _placeholder(sent: Sent) -> Diagnosis | None:
    for field, text in sent.suspected:
        if found := placeholder_in(field, text, sent.sender):
            if found.kind == "macro" and _CONVERSION.search(text):
                return Diagnosis(Mistake.CONVERSION_MACRO, _conversion_advice(sent))
            return on_placeholder(found, field, sent.name(field))
    return _half_replaced(sent)


def _empty_variable(sent: Sent) -> Diagnosis | None:
    """Find the word of an empty variable where an amount or a currency should be."""
    found = ((field, text.strip(_BLANKS)) for field, text in sent.suspected)
    words = ((field, word) for field, word in found if word.lower() in EMPTY_VARIABLES)
    return next((on_placeholder(Placeholder("word", word), field, sent.name(field)) for field, word in words), None)


def _half_replaced(sent: Sent) -> Diagnosis | None:
    for field, text in sent.suspected:
        if any(text.count(left) != text.count(right) for left, right in BRACKETS):
            return on_half_a_macro(sent.name(field))
    return None


def _double_encoded(sent: Sent) -> Diagnosis | None:
    for field, text in sent.suspected:
        if _ESCAPE.search(text):
            advice = f"Percent-encode {sent.name(field)} once: it still holds escapes after it was decoded."
            return Diagnosis(Mistake.DOUBLE_ENCODED, advice)
    return None


def _shortened(sent: Sent) -> Diagnosis | None:
    for field, text in sent.suspected:
        if field in {"click_id", "transaction_id"} and is_shortened(text):
            advice = f"Format the column of {sent.name(field)} as text and send all its digits: a sheet shortened it."
            return Diagnosis(Mistake.SHORTENED_ID, advice)
    return None


def _blanks(sent: Sent) -> Diagnosis | None:
    for field, text in sent.suspected:
        if text.strip(_BLANKS) != text or (field == "click_id" and any(letter in _BLANKS for letter in text)):
            advice = f"Send {sent.name(field)} without spaces; a literal + is %2B."
            return Diagnosis(Mistake.WHITESPACE, advice)
    return None


_BLANKS = " \t\r\n\v\f\u00a0\u200b\u2009\u202f\ufeff"
_ODD = re.compile(r"[%?;,&|{}\[\]<>]|^-?[0-9]+[.,][0-9]+$")  # in a click id: worth a closer look
_ESCAPE = re.compile(r"%(?:[0-7][0-9A-Fa-f]|[89A-Fa-f][0-9A-Fa-f]%)")  # %20, or a byte of UTF-8 and the next
_CONVERSION = re.compile(r"[{\[<]\s*conversion(?:_?id)?\s*[}\]>]", re.IGNORECASE)

_NAMES: tuple[_Detector, ...] = (_html_escaped, _near_miss, _broken_separator, _other_name)
_DETECTORS: Mapping[Outcome, tuple[_Detector, ...]] = {
    Outcome.MISSING_CLICK_ID: _NAMES,
    Outcome.MISSING_VALUE: _NAMES,
    Outcome.UNEXPANDED_MACRO: (_placeholder,),
    Outcome.INVALID_CLICK_ID: (_eaten, _glued_to_label, _shortened, _blanks),
    Outcome.INVALID_VALUE: (
        _empty_variable,
        *(_eaten, _broken_separator, _double_encoded, swapped, _half_replaced),
        *(currency_sign, decimal_comma, _blanks),
    ),
    Outcome.INVALID_CURRENCY: (_empty_variable, _eaten, _broken_separator, _double_encoded, _blanks),
    Outcome.INVALID_STATUS: (_eaten, _unknown_word),
    Outcome.INVALID_ENCODING: (_html_escaped, _eaten, _glued_to_label, _placeholder, _shortened, _blanks),
}
_REFUSED: Mapping[Outcome, Field] = {
    Outcome.INVALID_CLICK_ID: "click_id",
    Outcome.INVALID_VALUE: "value",
    Outcome.INVALID_CURRENCY: "currency",
}
_ODDITIES: tuple[_Detector, ...] = (
    *(_html_escaped, _near_miss, _double_encoded, _half_replaced, amount_as_click_id, rounded),
)
