"""Owns the detector of mistakes in rejected postbacks: what the person at the other end must change, in one sentence.

Pure. It never changes an outcome.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import product

from service.core.advice import on_damage, on_half_a_macro, on_placeholder, on_white_space
from service.core.amount_mistakes import currency_sign, decimal_comma, swapped
from service.core.decoding import Pairs
from service.core.fields.html_damage import eaten_in
from service.core.fields.identifiers import is_shortened
from service.core.fields.placeholders import BRACKETS, EMPTY_VARIABLES, Placeholder, placeholder_in
from service.core.fields.separators import glued_in
from service.core.hints import REFUSED, hint_for
from service.core.outcome import Diagnosis, Mistake, Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import claimed_click_id, claims_test
from service.core.postback import RawPostback, Rejection
from service.core.presets import EZMOB
from service.core.sender import Field, Sender
from service.core.sent import Sent
from service.core.trade_names import TRADE_NAMES, called_otherwise
from service.core.white_space import BLANKS, trimmed


def diagnose_rejected(outcome: Outcome, pairs: Pairs, sender: Sender) -> Diagnosis | None:
    """Say what was done wrong in a rejected postback; None when no known mistake fits.

    `pairs` is what could be read of it (`parsing.claimed`).
    """
    return _diagnosed(outcome, Sent(pairs, sender, refused=REFUSED.get(outcome)))


def rejection_of(raw: RawPostback, sender: Sender | None, rejected: Rejected, pairs: Pairs | None = None) -> Rejection:
    """Return the rejection to keep. Without a known sender nothing else that the postback claims is believed.

    `pairs` are its parameters, if they could be read.
    """
    raw = raw._replace(is_test=True) if rejected.is_test else raw
    pairs = claimed(raw) if pairs is None else pairs
    click_id = claimed_click_id(pairs, sender or EZMOB)
    if sender is None:
        return Rejection(raw, None, rejected.outcome, rejected.detail, click_id, retry_after=rejected.retry_after)
    sent = Sent(pairs, sender, refused=REFUSED.get(rejected.outcome), door=raw.door)
    return Rejection(
        raw,
        sender.name,
        rejected.outcome,
        rejected.detail,
        click_id,
        _diagnosed(rejected.outcome, sent),
        raw.is_test or claims_test(pairs),
        rejected.retry_after,
        hint=hint_for(rejected.outcome, sent),
        value=sent.fields.get("value", "")[:_SHOWN] or None,
    )


_SHOWN = 80  # characters of a value that is none
_Detector = Callable[[Sent], Diagnosis | None]


def first_of(detectors: tuple[_Detector, ...], sent: Sent) -> Diagnosis | None:
    """Return what the first detector finds that finds something."""
    return next((found for detect in detectors if (found := detect(sent))), None)


def _diagnosed(outcome: Outcome, sent: Sent) -> Diagnosis | None:
    return first_of(_DETECTORS[outcome], sent) if outcome in _DETECTORS else None


def html_escaped(sent: Sent) -> Diagnosis | None:
    """Find a name that has the rest of `&amp;` before it."""
    if any(name.startswith("amp;") for name, _ in sent.pairs):
        return Diagnosis(
            Mistake.HTML_ESCAPED, "Separate parameters by & alone: this URL was copied from HTML and has &amp; in it."
        )
    return None


def near_miss(sent: Sent) -> Diagnosis | None:
    """Find a name that is ours but for its case, or for white space or signs around it."""
    for name, _ in sent.pairs:
        meant = sent.sender.own_name(name)
        if meant is None or name in sent.sender.fields or sent.fields.get(sent.sender.fields[meant]):
            continue
        return misspelt(name, meant)
    return None


def misspelt(name: str, meant: str) -> Diagnosis:
    """Return the mistake of who wrote a parameter's name in another case, or with white space or signs around it."""
    if trimmed(name) != name:
        return Diagnosis(Mistake.WHITESPACE, f"Take the spaces out of the parameter's name: it is {meant}.")
    if name.lower() != meant.lower():
        return Diagnosis(Mistake.BROKEN_SEPARATOR, f"Take the signs out of the parameter's name: it is {meant}.")
    return Diagnosis(Mistake.WRONG_CASE, f"Write the parameter's name as {meant}: its case matters.")


def _other_name(sent: Sent) -> Diagnosis | None:
    """Find a required field that is missing, under a name that others use for it."""
    for name, _ in sent.pairs:
        field = TRADE_NAMES.get(name.lower())
        if name in sent.sender.fields or field not in sent.sender.required or sent.fields.get(field):
            continue
        if name.lower() == "conversion" and _is_of_ezmob(sent.sender):
            return Diagnosis(Mistake.CONVERSION_MACRO, _conversion_advice(sent))
        return called_otherwise(name.lower(), field, sent.sender)
    return None


def _is_of_ezmob(sender: Sender) -> bool:
    """Tell whether a sender may mean EZmob's {conversion}: other platforms' macros of this name are something else."""
    return EZMOB.name_of("click_id") in sender.fields


def _conversion_advice(sent: Sent) -> str:
    own = sent.name("click_id")
    return f"Use {own}={{click_id}} in the postback URL: {{conversion}} is the macro of EZmob's tracking link."


def unknown_status(name: str, sender: Sender) -> Diagnosis:
    """Return the mistake of who sent a status in a word that is not set up."""
    known = ", ".join(sender.words())
    advice = f"Send {name} in a word that is set up ({known}), or have the word that was sent set up for this sender."
    return Diagnosis(Mistake.UNKNOWN_STATUS, advice)


def _unknown_word(sent: Sent) -> Diagnosis:
    return unknown_status(sent.name("conversion_status"), sent.sender)


def _separated_otherwise(sent: Sent) -> Diagnosis | None:
    """Find a header of CSV whose names stand between semicolons or tabs: so it is one name."""
    names = [name for name, _ in sent.pairs] if sent.door == "batch" else []
    for name, (separator, called) in product(names, _SEPARATORS.items()):
        if any(sent.sender.own_name(part) for part in name.split(separator)[1:]):
            advice = f"Separate the columns by commas: this header has {called} between its names."
            return Diagnosis(Mistake.BROKEN_SEPARATOR, advice)
    return None


_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _broken_separator(sent: Sent) -> Diagnosis | None:
    """Find a second parameter inside the text of the first: `?c=1?value=2`, `c=1;value=2`, `c=1%26value=2`."""
    return _glued((*(text for _, text in sent.pairs), *sent.fields.values()), sent)


def _glued_to_label(sent: Sent) -> Diagnosis | None:
    return _glued((text for _, text in sent.suspected), sent)


def glued_to_parameter(sent: Sent) -> Diagnosis | None:
    """Find a value or a status that was not sent in a parameter that is no field. A URL has a query of its own."""
    texts = (text for name, text in sent.pairs if name not in sent.sender.fields and "://" not in text)
    return _glued(texts, sent, _NO_MONEY | sent.fields.keys())


_NO_MONEY: frozenset[Field] = frozenset({"click_id", "goal", "transaction_id", "currency"})


def _glued(texts: Iterable[str], sent: Sent, without: Container[Field] = ()) -> Diagnosis | None:
    found = next((glued for text in texts if (glued := glued_in(text, sent.sender, without))), None)
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
            if found.kind == "macro" and _CONVERSION.search(text) and _is_of_ezmob(sent.sender):
                return Diagnosis(Mistake.CONVERSION_MACRO, _conversion_advice(sent))
            return on_placeholder(found, field, sent.name(field), sent.sender)
    return half_replaced(sent)


def _empty_variable(sent: Sent) -> Diagnosis | None:
    """Find the word of an empty variable where an amount or a currency should be."""
    found = ((field, text.strip(BLANKS)) for field, text in sent.suspected)
    words = ((field, word) for field, word in found if word.lower() in EMPTY_VARIABLES)
    return next(
        (on_placeholder(Placeholder("word", word), field, sent.name(field), sent.sender) for field, word in words), None
    )


def half_replaced(sent: Sent) -> Diagnosis | None:
    """Find a bracket without its other half."""
    for field, text in sent.suspected:
        if any(text.count(left) != text.count(right) for left, right in BRACKETS):
            return on_half_a_macro(sent.name(field))
    return None


def double_encoded(sent: Sent) -> Diagnosis | None:
    """Find an escape that is left after decoding."""
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
        if text.strip(BLANKS) != text or (field == "click_id" and any(letter in BLANKS for letter in text)):
            return on_white_space(sent.name(field))
    return None


_ESCAPE = re.compile(r"%(?:[0-7][0-9A-Fa-f]|[89A-Fa-f][0-9A-Fa-f]%)")  # %20, or a byte of UTF-8 and the next
_CONVERSION = re.compile(r"[{\[<]\s*conversion(?:_?id)?\s*[}\]>]", re.IGNORECASE)

_NAMES: tuple[_Detector, ...] = (html_escaped, near_miss, _separated_otherwise, _broken_separator, _other_name)
_DETECTORS: Mapping[Outcome, tuple[_Detector, ...]] = {
    Outcome.MISSING_CLICK_ID: _NAMES,
    Outcome.MISSING_VALUE: _NAMES,
    Outcome.UNEXPANDED_MACRO: (_placeholder,),
    Outcome.INVALID_CLICK_ID: (_eaten, _glued_to_label, _shortened, _blanks),
    Outcome.INVALID_VALUE: (
        _empty_variable,
        *(_eaten, _broken_separator, double_encoded, swapped, half_replaced),
        *(currency_sign, decimal_comma, _blanks),
    ),
    Outcome.INVALID_CURRENCY: (_empty_variable, _eaten, _broken_separator, double_encoded, _blanks),
    Outcome.INVALID_STATUS: (_eaten, _unknown_word),
    Outcome.INVALID_ENCODING: (html_escaped, _eaten, _glued_to_label, _placeholder, _shortened, _blanks),
}
