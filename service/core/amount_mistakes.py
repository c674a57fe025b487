"""Owns the mistakes that people make with amounts: what is wrong with one, and how it should be written."""

import re

from service.core.fields.amounts import is_rounded, micros_of
from service.core.fields.currencies import CURRENCIES
from service.core.outcome import Diagnosis, Mistake
from service.core.sent import Sent

_DECIMAL = re.compile(r"-?[0-9]{1,9}[.,][0-9]{1,6}", re.ASCII)
_GROUPED = re.compile(r"-?[0-9]{1,12}(?:[.,' \u00a0\u202f][0-9]{1,6})+", re.ASCII)
_SIGN = r"(?:[$€£¥₽₹₩₺₴฿]|[A-Za-z]{3}|US\$)"
_WITH_CURRENCY = re.compile(rf"-?(?:({_SIGN})\s?-?[0-9][0-9.,' ]*|[0-9][0-9.,' ]*?\s?({_SIGN}))")


def rounded(sent: Sent) -> Diagnosis | None:
    """Find an amount with more decimals than are counted."""
    if is_rounded(sent.fields.get("value", ""), sent.sender.numbers):
        advice = f"Send {sent.name('value')} with six decimals at most: it was rounded to them."
        return Diagnosis(Mistake.ROUNDED_AMOUNT, advice)
    return None


def swapped(sent: Sent) -> Diagnosis | None:
    """Find an amount where the click id should be, and no amount where it should be."""
    click_id, value = sent.fields.get("click_id", ""), sent.fields.get("value", "")
    if _DECIMAL.fullmatch(click_id) and micros_of(value, sent.sender.numbers) is None:
        names = f"{sent.name('click_id')} and {sent.name('value')}"
        return Diagnosis(Mistake.SWAPPED, f"{names} look swapped: the amount stands where the click id should be.")
    return None


def amount_as_click_id(sent: Sent) -> Diagnosis | None:
    """Find an amount where the click id should be."""
    if _DECIMAL.fullmatch(sent.fields["click_id"]):
        names = f"{sent.name('click_id')} and {sent.name('value')}"
        return Diagnosis(Mistake.SWAPPED, f"Check {names}: the click id looks like an amount.")
    return None


def currency_sign(sent: Sent) -> Diagnosis | None:
    """Find a currency beside the number."""
    if with_sign := _WITH_CURRENCY.fullmatch(sent.fields.get("value", "").strip()):
        code, name = (with_sign[1] or with_sign[2]).upper(), sent.name("currency")
        if implied := sent.sender.implied_currencies.get(sent.name("value")):
            return Diagnosis(Mistake.CURRENCY_SIGN, _in_its_currency(code, implied, sent))
        named = code in CURRENCIES and not sent.fields.get("currency")  # a sign names no currency
        which = f"the currency as {name}={code}" if named else f"the currency's code in {name}"
        advice = f"Send the bare number in {sent.name('value')}, and {which}."
        return Diagnosis(Mistake.CURRENCY_SIGN, advice)
    return None


def _in_its_currency(code: str, implied: str, sent: Sent) -> str:
    """Say what to change where a currency stands beside the number of a parameter that is always in one."""
    value, sender = sent.name("value"), sent.sender
    others = (
        name for name, field in sender.fields.items() if field == "value" and name not in sender.implied_currencies
    )
    other = next(others, None) if code in CURRENCIES and code != implied else None
    if other is None:
        return f"Send the bare number in {value}: it is always in {implied}."
    return f"Send the bare number in {other} with {sent.name('currency')}={code}: {value} is always in {implied}."


def decimal_comma(sent: Sent) -> Diagnosis | None:
    """Find an amount in another format than the sender's, or with separators of thousands."""
    if _GROUPED.fullmatch(sent.fields.get("value", "")):
        point, comma = ("comma", "point") if sent.sender.numbers == "comma" else ("point", "comma")
        how = f"with a decimal {point}, and without a {comma} or separators of thousands"
        if sent.sender.numbers == "cents":
            how = "in whole cents, such as 150, without a point, a comma or separators of thousands"
        advice = f"Write {sent.name('value')} {how}."
        return Diagnosis(Mistake.DECIMAL_COMMA, advice)
    return None
