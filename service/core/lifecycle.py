"""Owns what a conversion's status can be, the words that senders use for it, and which may follow which."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

Status = Literal["pending", "approved", "rejected", "refunded"]

STATUSES: tuple[Status, ...] = get_args(Status)

UNPAID: frozenset[Status | None] = frozenset({"rejected", "refunded"})  # nobody owes its value any more

# The trade's words (Keitaro: lead, sale, rejected, rebill; BeMob: new, confirm, decline, charge; others: hold, trash).
STATUS_WORDS: Mapping[str, Status] = {
    **dict.fromkeys(("pending", "lead", "new", "hold", "waiting"), "pending"),
    **dict.fromkeys(("approved", "approve", "sale", "confirmed", "confirm", "paid", "rebill"), "approved"),
    **dict.fromkeys(
        ("rejected", "reject", "declined", "decline", "cancelled", "canceled", "trash", "fake"), "rejected"
    ),
    **dict.fromkeys(("refunded", "refund", "charge", "chargeback", "reversed"), "refunded"),
}

# Which statuses may follow which. None: no status was sent so far, so any may come first.
_MAY_BECOME: Mapping[str | None, tuple[Status, ...]] = {
    None: STATUSES,
    "pending": ("approved", "rejected"),
    "approved": ("rejected", "refunded"),
    "rejected": ("approved",),
    "refunded": (),
}
APPEAL: tuple[Status, Status] = ("rejected", "approved")  # of what was approved before it would be paid twice


def may_follow(statuses: Sequence[str | None], status: str) -> bool:
    """Tell whether a conversion that had these statuses, in their order, may have another one next."""
    return status in _next(statuses)


def allowed_next(statuses: Sequence[str | None]) -> str:
    """Return in words what may follow these statuses."""
    return " or ".join(_next(statuses)) or "nothing: it is final"


def steps() -> list[tuple[str | None, Status]]:
    """Return every step from one status to another that may be legal."""
    return [(before, status) for before, following in _MAY_BECOME.items() for status in following]


def _next(statuses: Sequence[str | None]) -> Sequence[Status]:
    current, approved = statuses[-1], "approved" in statuses
    return () if approved and current == APPEAL[0] else _MAY_BECOME[current]
