"""Owns parsing: the pure way from a raw postback to the fact, or to the reason why it is rejected.

Reading order is the order of `parse`: the parameters, naming the fields, then one check per field (fields/). What is
stored is what was sent, or the postback is rejected with the reason.
"""

from collections.abc import Mapping

from service.core.decoding import Pairs
from service.core.fields.amounts import value_of
from service.core.fields.currencies import currency_of
from service.core.fields.identifiers import MAX_CLICK_ID_BYTES, click_id_of, label_of, transaction_id_of
from service.core.fields.placeholders import is_empty_variable
from service.core.fields.repeats import same_meaning
from service.core.fields.statuses import status_of
from service.core.outcome import Outcome, Rejected
from service.core.parameters import parameters_of
from service.core.postback import TEST, Postback, RawPostback, says_test
from service.core.sender import Field, Sender
from service.core.white_space import trimmed


def parse(raw: RawPostback, sender: Sender, pairs: Pairs | None = None) -> Postback:
    """Turn the raw input into a conversion, or raise `Rejected` with the first thing that is wrong.

    `pairs` are its parameters, if they were decoded together with others'.
    """
    pairs = parameters_of(raw, sender) if pairs is None else pairs
    fields, params = _name_fields(pairs, sender)
    is_test = raw.is_test or (bool(params) and says_test(params.get(TEST, "")))
    if is_test:
        params.pop(TEST, None)
    click_id = click_id_of(fields, sender, pairs, params)
    value, micros = value_of(fields, sender, raw.body, pairs, params)
    status = status_parameter = None
    if "conversion_status" in fields:
        status = status_of(fields, sender)
        if status is None and not _is_empty(word := fields["conversion_status"]):
            status_parameter = sender.name_sent("conversion_status", word, pairs)
            params[status_parameter] = word
            status_parameter = None if is_empty_variable(word) else status_parameter
        elif status is not None and (word := fields["conversion_status"]).strip(" ") != trimmed(word):
            params[sender.name_sent("conversion_status", word, pairs)] = word
    values = (
        raw,
        sender.name,
        is_test,
        click_id,
        label_of(fields, "goal", sender, pairs, params) if "goal" in fields else "",
        transaction_id_of(fields, sender, raw.request_id, pairs, params)
        if "transaction_id" in fields or sender.duplicates == "sum"
        else "",
        value,
        micros,
        currency_of(fields, sender, pairs, params) if "currency" in fields or sender.implied_currencies else None,
        params,
        None,
        status,
        status_parameter,
    )
    return tuple.__new__(Postback, values)  # its own __new__ is a function in Python


def claims_test(pairs: Pairs) -> bool:
    """Tell whether a rejected postback says that it is a test."""
    return any(name == TEST and says_test(text) for name, text in pairs)


def claimed_click_id(pairs: Pairs, sender: Sender) -> str | None:
    """Return the click id that a rejected postback names, so that a person can find it again."""
    return trimmed(claimed_fields(pairs, sender).get("click_id", ""))[:MAX_CLICK_ID_BYTES] or None


def claimed_fields(pairs: Pairs, sender: Sender) -> dict[Field, str]:
    """Return the fields of a postback that may be broken: of a name that was repeated, the first text."""
    sent: dict[str, str] = {}
    for name, text in pairs:
        if name in sender.fields and _is_empty(sent.get(name, "")):
            sent[name] = text
    return _preferred(sent, sender)[0]


def _name_fields(pairs: Pairs, sender: Sender) -> tuple[dict[Field, str], dict[str, str | list[str]]]:
    fields: dict[Field, str] = {}
    params: dict[str, str | list[str]] = {}
    for name, text in pairs:
        field = sender.fields.get(name)
        if field is None:
            earlier = params.get(name)
            params[name] = text if earlier is None else [*([earlier] if isinstance(earlier, str) else earlier), text]
        elif field in fields:
            return _name_repeated_fields(pairs, sender)
        else:
            fields[field] = text
    return fields, params


def _name_repeated_fields(pairs: Pairs, sender: Sender) -> tuple[dict[Field, str], dict[str, str | list[str]]]:
    """Name the fields where one was sent several times: what does not count is kept. Raises `Rejected`."""
    sent: dict[str, str] = {}
    for name, text in pairs:
        if field := sender.fields.get(name):
            earlier = sent.get(name, "")
            both = _says_something(field, earlier) and _says_something(field, text)
            if both and not same_meaning(field, earlier, text, sender):
                raise Rejected(Outcome.REPEATED_PARAMETER, f"{field} was sent more than once (parameter {name})")
            sent[name] = next((one for one in (earlier, text) if _says_something(field, one)), earlier or text)
    _, params = _name_fields([pair for pair in pairs if pair[0] not in sender.fields], sender)
    fields, others = _preferred(sent, sender)
    return fields, {**params, **others}


def _preferred(sent: Mapping[str, str], sender: Sender) -> tuple[dict[Field, str], dict[str, str]]:
    """Return each field under the first of its names that says something, in the sender's order; and what is left."""
    chosen: dict[Field, str] = {}
    for name in filter(sent.__contains__, sender.fields):
        field = sender.fields[name]
        held = sent.get(chosen.get(field, ""), "")
        if field not in chosen or (_says_something(field, sent[name]) and not _says_something(field, held)):
            chosen[field] = name
    others = {name: text for name, text in sent.items() if name not in chosen.values() and not _is_empty(text)}
    return {field: sent[name] for field, name in chosen.items()}, others


def _says_something(field: Field, text: str) -> bool:
    """Tell whether a text is neither empty nor, where no text is a name, a word for "none"."""
    return not _is_empty(text) and (field in _NAMES or not is_empty_variable(text))


_NAMES: frozenset[Field] = frozenset({"click_id", "goal", "transaction_id"})  # `null` is a goal, and no id


def _is_empty(text: str) -> bool:
    return not trimmed(text)
