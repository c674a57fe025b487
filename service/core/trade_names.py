"""Owns the trade's names: what any platform calls a field, and the mistake of who used one that is not its own."""

import re
from collections.abc import Container, Mapping

from service.core.fields.currencies import CURRENCIES
from service.core.fields.placeholders import placeholder_in
from service.core.fields.statuses import plain_word
from service.core.names import plain_name
from service.core.outcome import Diagnosis, Mistake
from service.core.postback import Params
from service.core.presets import PRESETS
from service.core.sender import Field, Sender
from service.core.white_space import trimmed

# In lower case. Of a name that two platforms use for different fields, the first preset's meaning.
TRADE_NAMES: Mapping[str, Field] = {
    **{name.lower(): field for sender in reversed([*PRESETS.values()]) for name, field in sender.fields.items()},
    **dict.fromkeys(("conversion", "click-id", "click", "aff_sub", "aff_click_id", "s2", "externalid"), "click_id"),
    **dict.fromkeys(("price", "profit", "val", "commission", "revenue_usd", "reporting_revenue"), "value"),
    **dict.fromkeys(("sale_amount", "order_amount", "order_total", "total", "total_amount", "order_value"), "value"),
    **dict.fromkeys(("cpa", "usd", "eur", "income", "earning", "earnings", "reward", "conversion_value"), "value"),
    **dict.fromkeys(("cur", "curr", "ccy", "currency_code", "currencycode", "payout_currency"), "currency"),
    **dict.fromkeys(("orderid", "order", "order_number", "transactionid", "trx_id", "transaction"), "transaction_id"),
}
_IN_CENTS: Mapping[str, str] = {"revenue": "revenue_float"}  # Adjust's name of whole units beside the one of cents
_LONGEST = 100  # characters of a name that are looked at
_SHOWN = 80  # characters of what was sent
_AMOUNT = re.compile("[^1-9]{0,100}[1-9]")  # not nothing, and not zero


def called_otherwise(name: str, field: Field, sender: Sender) -> Diagnosis:
    """Return the mistake of who sent a field under this name of the trade's, in lower case."""
    own, what = sender.name_of(field), field.replace("_", " ")
    if own == _IN_CENTS.get(name):
        advice = f"Send the value as {own}, which is in whole units: {name} is in cents, a hundred times as much."
    elif field not in sender.fields.values():
        advice = f"Have {name} set up for {sender.name} as its {what}: no name for one is set up."
    elif name in sender.fields:
        advice = f"Send the {what} as {own} alone: another text came as {own}, and {name} is not read beside it."
    else:
        advice = f"Send the {what} as {own}: {name} is what others call it. Or have {name} set up for {sender.name}."
    return Diagnosis(Mistake.OTHER_NAME, advice)


def meaning_of(name: str) -> Field | None:
    """Return which field others call by this name, in any case, with white space or signs around it."""
    return TRADE_NAMES.get(_plain(name))


def value_elsewhere(params: Params, sender: Sender) -> Diagnosis | None:
    """Find an amount, or a macro for one, under a name for it, among the parameters of who sent no value or zero."""
    for name, sent in params.items():
        if meaning_of(name) == "value" and _is_worth_something(first_text(sent), sender):
            return called_otherwise(name if name in sender.fields else _plain(name), "value", sender)
    return None


def field_elsewhere(params: Params, missing: Container[Field], sender: Sender) -> Diagnosis | None:
    """Find a status, a currency or a transaction id under a name that others use for it, where none was sent."""
    for name, sent in params.items():
        field = meaning_of(name)
        if field and field in missing and name not in sender.fields and _is_one(first_text(sent), field, sender):
            return called_otherwise(_plain(name), field, sender)
    return None


def _plain(name: str) -> str:
    return plain_name(name[:_LONGEST])


def first_text(sent: str | list[str]) -> str:
    """Return the first text of a parameter."""
    return sent if isinstance(sent, str) else sent[0]


def _is_worth_something(text: str, sender: Sender) -> bool:
    return bool(_AMOUNT.match(text) or placeholder_in("value", text, sender))


def _is_one(text: str, field: Field, sender: Sender) -> bool:
    """Tell whether a text unmistakably is what this field holds."""
    match field:
        case "conversion_status":
            return plain_word(text) in sender.statuses
        case "currency":
            return trimmed(text).upper() in CURRENCIES
        case _:
            return bool(trimmed(text)) and placeholder_in(field, text, sender) is None


def unread_in(params: Mapping[str, object], value: str, status: str | None) -> list[str]:
    """Return what a conversion's parameters say of its value and its status, where nothing was read of these.

    Each is a sentence for a person. Whose conversion it is is not asked, so a name of the sender's own is not known.
    """
    found = []
    for name, sent in params.items():
        text = str(sent[0] if isinstance(sent, list) else sent)[:_SHOWN]
        field = meaning_of(name)
        if field == "value" and not value and _AMOUNT.match(text):
            found.append(f"{name}={text} is another name for a value")
        elif field == "conversion_status" and status is None and text.strip():
            found.append(f"{name}={text} is no known status")
    return found
