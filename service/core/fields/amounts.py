"""Owns amounts: the text of a value, and the same amount in millionths, exact everywhere."""

import re
from collections.abc import Mapping
from functools import lru_cache

from service.core.fields.placeholders import reject_placeholder
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, NumberFormat, Sender

_AMOUNT_LENGTH = 20
AMOUNTS: Mapping[NumberFormat, re.Pattern[str]] = {
    "point": re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII),
    "comma": re.compile(r"-?[0-9]{1,12}(?:,[0-9]{1,6})?", re.ASCII),
    "cents": re.compile(r"-?[0-9]{1,14}", re.ASCII),
}


def value_of(fields: Mapping[Field, str], sender: Sender) -> tuple[str, int]:
    """Return the value as it was sent, and in millionths; nothing and 0 where it may be left out. Raises `Rejected`."""
    value = fields.get("value", "")
    if not value:
        if "value" not in sender.required:
            return "", 0
        raise Rejected(Outcome.MISSING_VALUE, "empty" if "value" in fields else "absent")
    micros = micros_of(value, sender.numbers)
    if micros is None:
        reject_placeholder("value", value)
        raise Rejected(Outcome.INVALID_VALUE, f"{value[:80]!a} is not an amount")
    return value, micros


def micros_of(text: str, numbers: NumberFormat = "point") -> int | None:
    """Return an amount in millionths, None if the text is not an amount in this format."""
    return _micros(text, numbers) if len(text) <= _AMOUNT_LENGTH else None


@lru_cache(maxsize=1024)  # payouts are few, and come again and again
def _micros(text: str, numbers: NumberFormat) -> int | None:
    if not AMOUNTS[numbers].fullmatch(text):
        return None
    if numbers == "cents":
        return int(text) * 10_000
    whole, _, fraction = text.partition("," if numbers == "comma" else ".")
    return int(whole + fraction.ljust(6, "0"))
