"""Owns what a conversion's status can be, the words that senders use for it, and which may follow which."""

from collections.abc import Mapping
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
    "rejected": (),
    "refunded": (),
}


def may_become(current: str | None, status: str) -> bool:
    """Tell whether a conversion may go from one status to another."""
    return status in _MAY_BECOME[current]


def allowed_next(current: str | None) -> str:
    """Return in words what may follow a status."""
    return " or ".join(_MAY_BECOME[current]) or "nothing: it is final"
