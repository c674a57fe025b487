"""Owns amounts: the text of a value, and the same amount in millionths."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from service.core.decoding import Pairs, has_number
from service.core.fields.placeholders import is_empty_variable, reject_placeholder
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, NumberFormat, Sender
from service.core.white_space import trimmed

LONGEST_AMOUNT = 64  # characters: no program writes more of a number that is exact
_TOO_MUCH = 10**18  # millionths: more than 12 digits before the point
_DECIMALS: Mapping[NumberFormat, int] = {"point": 6, "comma": 6, "cents": 4}  # of what is sent, down to a millionth
_EXPONENT = "[eE][+-]?[0-9]{1,3}"  # three digits at most: 10 to this power is computed at once
AMOUNTS: Mapping[NumberFormat, re.Pattern[str]] = {
    "point": re.compile(rf"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:{_EXPONENT})?", re.ASCII),
    "comma": re.compile(rf"[+-]?(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)(?:{_EXPONENT})?", re.ASCII),
    "cents": re.compile(rf"[+-]?[0-9]+(?:(?:\.[0-9]+)?{_EXPONENT})?", re.ASCII),  # 1.5 is no number of cents, 1.5E2 is
}


class _Amount(NamedTuple):
    """An amount in millionths, and whether it was rounded to them."""

    micros: int
    rounded: bool


def value_of(
    fields: Mapping[Field, str], sender: Sender, body: bytes, pairs: Pairs, params: dict[str, str | list[str]]
) -> tuple[str, int]:
    """Return the value as it was sent, and in millionths; nothing and 0 where it may be left out. Raises `Rejected`.

    A word for "none" in a value that may be left out is kept among the parameters. A number of JSON in the `body` has
    a decimal point, whatever the sender writes in texts.
    """
    value = fields.get("value", "")
    amount = _read(value, sender.numbers) if len(value) <= LONGEST_AMOUNT else None
    if amount is not None:
        return value, amount[0]
    if text := trimmed(value):
        name = sender.name_sent("value", value, pairs)
        if len(value) <= LONGEST_AMOUNT and (micros := micros_of(text, sender.numbers)) is not None:
            params[name] = value
            return text, micros
        if sender.numbers == "comma" and body and has_number(body, name, value):
            number = micros_of(value)
            if number is not None:
                return value, number
        if "value" not in sender.required and is_empty_variable(value):
            params[name] = value
            return "", 0
        reject_placeholder("value", value, sender)
        raise Rejected(Outcome.INVALID_VALUE, f"{value[:80]!a} is not an amount")
    if "value" in sender.required:
        raise Rejected(Outcome.MISSING_VALUE, "empty" if "value" in fields else "absent")
    return "", 0


def micros_of(text: str, numbers: NumberFormat = "point") -> int | None:
    """Return an amount in millionths, rounded half to even; None if the text is not an amount in this format."""
    amount = _read(text, numbers) if len(text) <= LONGEST_AMOUNT else None
    return amount and amount[0]


def is_rounded(text: str, numbers: NumberFormat) -> bool:
    """Tell whether an amount has more than millionths, so that it is not counted exactly as it was sent."""
    if len(text) > LONGEST_AMOUNT:
        return False
    amount = _read(text, numbers) or _read(text, "point")  # a number of JSON
    return amount is not None and amount.rounded


@lru_cache(maxsize=1024)  # payouts are few, and come again and again
def _read(text: str, numbers: NumberFormat) -> _Amount | None:
    plain = text.strip(" ")  # a literal + in a query arrives as a space
    if not AMOUNTS[numbers].fullmatch(plain):
        return None
    mantissa, _, exponent = plain.lower().partition("e")
    whole, _, fraction = mantissa.partition("," if numbers == "comma" else ".")
    power = int(exponent or "0") - len(fraction)
    digits = int(whole + fraction)
    if numbers == "cents" and power < 0 and digits % 10**-power:
        return None  # a part of a cent: these are no cents
    shift = power + _DECIMALS[numbers]
    micros, rest = (digits * 10**shift, 0) if shift >= 0 else divmod(digits, 10**-shift)
    if rest:
        twice = 2 * rest - 10**-shift
        micros += twice > 0 or (twice == 0 and micros % 2)
    return _Amount(micros, bool(rest)) if abs(micros) < _TOO_MUCH else None
