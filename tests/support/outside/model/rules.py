"""Owns the reference model: what docs/status.md and docs/senders.md say becomes of a postback, and nothing of how.

A conversion is what was said of it, in its order: first by the postback that was stored, then by each that updated it.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

MAY_BECOME: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"pending", "approved", "rejected", "refunded"}),
    "pending": frozenset({"approved", "rejected"}),
    "approved": frozenset({"rejected", "refunded"}),
    "rejected": frozenset({"approved"}),  # an appeal: of what never was approved
    "refunded": frozenset(),
}
ACCEPTED = frozenset({"stored", "updated", "duplicate", "conflict"})  # of a key, and known at once
JUDGED = ACCEPTED | {"illegal_transition", "invalid_status"}
CHANGING = frozenset({"stored", "updated"})
FAILED = frozenset({"storage_unavailable", "internal_error"})  # it may have happened
NOTHING = frozenset({"overloaded", "refused"})  # it did not; `refused`: with the rest of its atomic batch


class Key(NamedTuple):
    """What makes two postbacks the same conversion."""

    sender: str
    is_test: bool
    click_id: str
    goal: str
    transaction_id: str


class Said(NamedTuple):
    """What one postback says of a conversion; `amount` is None where no value was sent.

    `word` is a status in a word that is not set up for its sender.
    """

    status: str | None
    amount: Decimal | None
    currency: str | None = None
    word: str | None = None


Conversion = tuple[Said, ...]  # empty: nobody has stored it, or it was erased
NEVER: Conversion = ()


def judge(conversion: Conversion, said: Said) -> tuple[str, Conversion]:
    """Return the outcome of a postback, and the conversion after it: the first rule of docs/status.md that fits."""
    if not conversion:
        return "stored", (said._replace(amount=said.amount or Decimal(0)),)
    if said.word is not None:
        first = conversion[0]
        return ("duplicate" if first.word == said.word and _repeats(first, said) else "invalid_status"), conversion
    if any(_repeats(earlier, said) for earlier in _with_values(conversion)):
        return "duplicate", conversion
    present = conversion[-1].status
    if said.status in (None, present):
        return "conflict", conversion
    appeals = present == "rejected" and any(earlier.status == "approved" for earlier in conversion)
    if said.status in MAY_BECOME[present] and not appeals:
        return "updated", (*conversion, said)
    return "illegal_transition", conversion


def _repeats(earlier: Said, said: Said) -> bool:
    """Tell whether a status and value, or the value alone, came before; what is not sent contradicts nothing."""
    same_status = said.status in (None, earlier.status)
    same_value = said.amount is None or (said.amount, said.currency) == (earlier.amount, earlier.currency)
    return same_status and same_value


def _with_values(conversion: Conversion) -> list[Said]:
    """Return what the conversion was at each time: an update without a value leaves the value as it is."""
    known = [conversion[0]]
    for said in conversion[1:]:
        known.append(said if said.amount is not None else Said(said.status, known[-1].amount, known[-1].currency))
    return known


def amount_of(text: str) -> Decimal | None:
    """Return what an amount counts: in millionths, rounded half to even. None: it is no amount."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][0-9]+)?", text):
        return None
    return Decimal(text).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def key_of(policy: str, sent: Key, own: str) -> Key:
    """Return the key that a sender's policy makes; `own` stands for the arrival, where each is another conversion."""
    if policy == "click":
        return sent._replace(transaction_id="")
    if policy == "sum" and not sent.transaction_id:
        return sent._replace(transaction_id=own)
    return sent
