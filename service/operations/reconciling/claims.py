"""Owns a conversion as either list has it, and which sales a partner's list takes back by a row of their own."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_MICROS = 10**6


class Amount(NamedTuple):
    """An amount in millionths, and its currency's code, empty where none was said."""

    micros: int
    currency: str


class Claim(NamedTuple):
    """One conversion of a list; `place` is its row there, or its request_id here. No amount: it cannot be read.

    `unpaid` says why it is worth nothing: it was rejected or refunded. Its amount is 0 then. `less` says what was taken
    off its amount.
    """

    amount: Amount | None
    place: str
    unpaid: str = ""
    less: str = ""


@dataclass(slots=True)
class Waiting:
    """The places of conversions in a list, by amount and then by currency: a queue for each, so as not to search."""

    queues: dict[int, dict[str, deque[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(deque)),
    )

    def put(self, amount: Amount, place: int) -> None:
        """Add one; to be called in the order of places."""
        self.queues[amount.micros][amount.currency].append(place)

    def take(self, amount: Amount) -> int | None:
        """Take the first place of an equal amount, in the same currency where both say one."""
        same, currency = self.queues.get(amount.micros, {}), amount.currency
        agreeing = [same[code] for code in ((currency, "") if currency else same) if same.get(code)]
        return min(agreeing, key=lambda places: places[0]).popleft() if agreeing else None


def decimal(micros: int) -> str:
    """Return an amount in millionths as a decimal, exact, with two digits after the point at least."""
    whole, rest = divmod(abs(micros), _MICROS)
    fraction = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{fraction}"


def after_reversals(here: Sequence[Claim], there: Sequence[Claim]) -> list[Claim]:
    """Return the rows of one key of their list without those that only take back a sale beside them.

    A row with a negative amount takes back the sale of that amount, or is taken off the only sale. A row that is
    rejected or refunded takes back the sale of its amount, or any if it has none; but only where they have more rows
    than we have conversions, else it is a conversion of its own. A sale that was taken back is unpaid. What is unpaid
    comes with the amount that it was worth, and has 0 afterwards.
    """
    sales = _Sales(there)
    ours = {claim.amount.micros for claim in here if claim.amount}
    for place, amount in sales.others:
        if amount.micros < 0 and amount.micros not in ours:
            sales.take_back(place, amount._replace(micros=-amount.micros))
    for place, amount in sales.others:
        if amount.micros >= 0 and len(sales.rows) > len(here):
            sales.take_back(place, amount)
    return [_worthless(claim) if claim.unpaid else claim for _, claim in sorted(sales.rows.items())]


class _Sales:
    """The rows of one key of their list: which are sales that still count, and which may take one back."""

    def __init__(self, there: Sequence[Claim]) -> None:
        self.rows = dict(enumerate(there))
        self.others: list[tuple[int, Amount]] = []
        self._counting: dict[int, Amount] = {}
        self._waiting = Waiting()
        for place, claim in self.rows.items():
            if claim.amount and not claim.unpaid and claim.amount.micros > 0:
                self._counting[place] = claim.amount
                self._waiting.put(claim.amount, place)
            elif claim.amount and (claim.unpaid or claim.amount.micros):
                self.others.append((place, claim.amount))

    def take_back(self, by: int, amount: Amount) -> None:
        """Let a row take back a sale of this amount, or any if it is 0; it is no row of its own then."""
        sale = self._waiting.take(amount) if amount.micros else next(iter(self._counting), None)
        if sale is not None and sale in self._counting:
            del self._counting[sale]
            why = self.rows[by].unpaid or "it was " + decimal(amount.micros)
            self.rows[sale] = self.rows[sale]._replace(unpaid=f"taken back by row {self.rows.pop(by).place}: {why}")
        elif self.rows[by].amount != amount and len(self._counting) == 1:
            self._take_off(by, amount)

    def _take_off(self, by: int, amount: Amount) -> None:
        """Take a part off the only sale."""
        ((place, sale),) = self._counting.items()
        if amount.micros < sale.micros and amount.currency in ("", sale.currency):
            row, claim = self.rows.pop(by), self.rows[place]
            told = f"{claim.less}; " if claim.less else ""
            told += f"{decimal(amount.micros)} taken off by row {row.place}"
            self._counting[place] = left = sale._replace(micros=sale.micros - amount.micros)
            self._waiting.put(left, place)
            self.rows[place] = claim._replace(amount=left, less=told)


def _worthless(claim: Claim) -> Claim:
    return claim._replace(amount=claim.amount and claim.amount._replace(micros=0))
