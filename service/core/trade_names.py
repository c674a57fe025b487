"""Owns the trade's names: what any platform calls a field, and the mistake of who used one that is not its own."""

import re
from collections.abc import Mapping
from functools import lru_cache

from service.core.outcome import Diagnosis, Mistake
from service.core.postback import Params
from service.core.presets import PRESETS
from service.core.sender import Field, Sender

# In lower case. Of a name that two platforms use for different fields, the first preset's meaning.
TRADE_NAMES: Mapping[str, Field] = {
    **{name.lower(): field for sender in reversed([*PRESETS.values()]) for name, field in sender.fields.items()},
    **dict.fromkeys(("conversion", "click-id", "click", "aff_sub", "aff_click_id", "s2", "externalid"), "click_id"),
    **dict.fromkeys(("price", "profit", "val", "commission", "revenue_usd", "reporting_revenue"), "value"),
    **dict.fromkeys(("sale_amount", "order_amount", "order_total"), "value"),
}
_LONGEST = 100  # characters of a name that are looked at
_SHOWN = 80  # characters of what was sent
_AMOUNT = re.compile("[^1-9]{0,100}[1-9]")  # not nothing, and not zero


def called_otherwise(name: str, field: Field, sender: Sender) -> Diagnosis:
    """Return the mistake of who sent a field under this name of the trade's."""
    own, what = sender.name_of(field), field.replace("_", " ")
    advice = f"Send the {what} as {own}: {name} is what others call it. Or have {name} set up for {sender.name}."
    return Diagnosis(Mistake.OTHER_NAME, advice)


@lru_cache(maxsize=256)  # a sender's other names are the same again and again
def names_a_value(names: tuple[str, ...]) -> bool:
    """Tell whether others call a value by one of these names."""
    return any(TRADE_NAMES.get(name[:_LONGEST].lower()) == "value" for name in names)


def value_elsewhere(params: Params, sender: Sender) -> Diagnosis | None:
    """Find an amount under a name that others use for it, among the parameters of who sent no value."""
    for name, sent in params.items():
        lowered = name[:_LONGEST].lower()
        if TRADE_NAMES.get(lowered) == "value" and _AMOUNT.match(sent if isinstance(sent, str) else sent[0]):
            return called_otherwise(lowered, "value", sender)
    return None


def unread_in(params: Mapping[str, object], value: str, status: str | None) -> list[str]:
    """Return what a conversion's parameters say of its value and its status, where nothing was read of these.

    Each is a sentence for a person. Whose conversion it is is not asked, so a name of the sender's own is not known.
    """
    found = []
    for name, sent in params.items():
        text = str(sent[0] if isinstance(sent, list) else sent)[:_SHOWN]
        field = TRADE_NAMES.get(name[:_LONGEST].lower())
        if field == "value" and not value and _AMOUNT.match(text):
            found.append(f"{name}={text} is another name for a value")
        elif field == "conversion_status" and status is None and text.strip():
            found.append(f"{name}={text} is no known status")
    return found
