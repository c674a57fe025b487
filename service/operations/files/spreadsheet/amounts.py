"""Owns amounts as spreadsheets show them: thousands separators, currency signs, parentheses, either decimal mark."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from service.core.fields.amounts import micros_of
from service.core.fields.currencies import CODES_OF_SIGNS, CURRENCIES
from service.core.sender import NumberFormat

_MINUS = r"\-\u2212"
_APOSTROPHE = r"'\u2019"
_CURRENCY = rf"[^0-9\s.,()+{_APOSTROPHE}{_MINUS}]{{1,4}}\.?"
_SHOWN = re.compile(  # what is no amount is left without trying each way to share its spaces out
    rf"(?P<opened>\()?\s*+(?P<sign>[+{_MINUS}])?\s*+(?P<before>{_CURRENCY})?\s*+(?P<inner>[+{_MINUS}])?\s*+"
    rf"(?P<number>[0-9.,](?:[0-9.,{_APOSTROPHE}\s]*[0-9])?)\s*+"
    rf"(?P<behind>[{_MINUS}])?\s*+(?P<after>{_CURRENCY})?\s*+(?P<last>[{_MINUS}])?(?P<closed>\))?"
)
_GROUPS = rf"[1-9][0-9]{{{{0,2}}}}(?P<by>[{{mark}}{_APOSTROPHE}\s])[0-9]{{{{3}}}}(?:(?P=by)[0-9]{{{{3}}}})*"
_LAKHS = r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"  # as India groups them
_NUMBERS: dict[NumberFormat, re.Pattern[str]] = {
    "point": re.compile(rf"(?P<whole>{_GROUPS.format(mark=',')}|{_LAKHS}|[0-9]*)(?:\.(?P<rest>[0-9]+))?"),
    "comma": re.compile(rf"(?P<whole>{_GROUPS.format(mark='.')}|[0-9]*)(?:,(?P<rest>[0-9]+))?"),
    "cents": re.compile(rf"(?P<whole>{_GROUPS.format(mark='.,')}|[0-9]+)(?P<rest>)"),
}
_CODE = re.compile("[A-Z]{3,4}")  # whether its sender may send it, the door says
_NO_DIGIT = re.compile("[^0-9]")
_MARKS: dict[NumberFormat, str] = {
    "point": "with a decimal point",
    "comma": "with a decimal comma",
    "cents": "in cents",
}


class Shown(NamedTuple):
    """An amount that was read: as it is written plainly, and the currencies that the signs beside it may mean."""

    text: str
    currencies: frozenset[str] = frozenset()

    @property
    def currency(self) -> str | None:
        """The currency, if it is clear: `$` is that of many countries."""
        return next(iter(self.currencies)) if len(self.currencies) == 1 else None


class Numbers(NamedTuple):
    """How the amounts of a file are written; `sure` if what might be thousands or decimals can be told by it.

    Where it is not sure, what might be both is no amount, but for one that is `plain`: written as the door takes it, in
    a file as versions before read them, or of a sender whose format somebody has said.
    """

    format: NumberFormat
    sure: bool
    plain: bool = True


@lru_cache(maxsize=4096)  # payouts are few, and come again and again
def respelled(text: str, numbers: Numbers, target: NumberFormat) -> Shown:
    """Return an amount as `target` writes it. One that cannot be read comes back so that nobody takes it for one."""
    as_is = numbers.format == target and micros_of(text, target) is not None
    if as_is and (numbers.sure or numbers.plain):
        return Shown(text)
    if not numbers.sure and numbers.format != "cents" and _is_ambiguous(text):
        return Shown(f"{text} (thousands or a fraction: say --numbers)")
    shown = _read(text, numbers.format)
    if shown is not None:
        written = _written(shown.text, target)
        if written is not None:
            return Shown(written, shown.currencies)
    if micros_of(text, target) is None:
        return Shown(text)
    return Shown(f"{text} (not {_MARKS[numbers.format]})")


def numbers_of(texts: Iterable[str], own: NumberFormat, *, is_ours: bool) -> Numbers:
    """Return how a file writes its amounts, by some of them; `own` is how its sender usually does.

    `is_ours`: it is CSV as our doors take it, where an amount in the sender's own format is that amount.

    Raises ValueError with an amount that may mean two things, where no other one decides.
    """
    if own == "cents":  # 12.50 among them is a mistake: to read a file's 150 as 150.00 for its sake would be worse
        return Numbers(own, sure=True)
    seen: set[NumberFormat] = set()
    ambiguous = None
    for text in texts:
        only = _only_in(text)
        if only:
            seen.add(only)
        elif _is_ambiguous(text) and not (is_ours and micros_of(text, own) is not None):
            ambiguous = ambiguous or text
    if len(seen) == 1:
        return Numbers(seen.pop(), sure=True)
    if ambiguous and not seen and own == "point":  # the default, which nobody may have thought of
        raise ValueError(ambiguous)
    return Numbers(own, sure=own == "comma" and not seen, plain=is_ours or own != "point")


@lru_cache(maxsize=4096)
def _only_in(text: str) -> Literal["point", "comma"] | None:
    point, comma = _read(text, "point"), _read(text, "comma")
    if (point is None) == (comma is None):
        return None
    return "point" if comma is None else "comma"


def _is_ambiguous(text: str) -> bool:
    point, comma = _read(text, "point"), _read(text, "comma")
    return bool(point and comma and micros_of(point.text) != micros_of(comma.text))


def _read(text: str, numbers: NumberFormat) -> Shown | None:
    """Return an amount with a decimal point and nothing else that is not a digit, None if it is none in this format."""
    if numbers != "cents" and micros_of(text, numbers) is not None:
        return Shown(text.strip().replace(",", "."))  # as a door takes it, also 1,25E+07
    shown = _SHOWN.fullmatch(text.strip())
    number = shown and _NUMBERS[numbers].fullmatch(shown["number"])
    if not shown or not number:
        return None
    signs = [_currencies(sign) for sign in (shown["before"], shown["after"]) if sign]
    currencies = frozenset.intersection(*signs) if signs else frozenset()
    minuses = [sign for sign in shown.group("sign", "inner", "behind", "last", "opened") if sign]
    if (signs and not currencies) or len(minuses) > 1 or bool(shown["opened"]) != bool(shown["closed"]):
        return None
    whole, rest = _NO_DIGIT.sub("", number["whole"]) or "0", number["rest"]
    if numbers == "cents":
        whole, rest = whole[:-2] or "0", whole[-2:].rjust(2, "0")
    minus = "-" if minuses and minuses != ["+"] else ""
    return Shown(f"{minus}{whole}{f'.{rest}' if rest else ''}", currencies)


def _currencies(sign: str) -> frozenset[str]:
    """Return the currencies that a sign or a code may mean, none if it is neither."""
    code = sign.upper()
    if code in CURRENCIES or _CODE.fullmatch(sign):
        return frozenset({code})
    return CODES_OF_SIGNS.get(sign.lower(), frozenset())


def _written(text: str, target: NumberFormat) -> str | None:
    """Return an amount with a decimal point as another format writes it, None if that one cannot."""
    if target != "cents":
        return text.replace(".", ",") if target == "comma" else text
    cents, finer = divmod(micros_of(text) or 0, 10_000)
    return None if finer else str(cents)
