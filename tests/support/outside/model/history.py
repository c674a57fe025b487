"""Owns what an outside ledger knows: postbacks that were sent, erasures that were asked for, rows that were found.

Times are seconds of the wall clock. What never came is at `NEVER_ENDED`.
"""

import math
from dataclasses import dataclass, field

from tests.support.outside.model.rules import FAILED, JUDGED, NOTHING, Key, Said

NEVER_ENDED = math.inf


@dataclass(frozen=True, slots=True)
class Row:
    """A row of one of the four tables of postbacks, `outcome` being what it says.

    `tag` is the sender's own number of the postback, where the row keeps one; `number` counts status changes.
    """

    table: str
    request_id: str
    outcome: str
    key: Key
    door: str
    received_at: float
    tag: str = ""
    said: Said | None = None
    number: int = 0


@dataclass(slots=True)
class Operation:
    """One postback on its way through one door, and what its sender was told.

    `answer` is None while nobody told. `host` is who received it; empty: a command of its own, which knows no spool.
    `group` is what it was sent in (a batch, a file) and `place` its place in that. `rejected` are the outcomes that it
    has whatever is stored, because of what is wrong with it. `unset` is what it says until its odd word is set up.
    `mentioned` are the other click ids of its atomic batch: where that is refused, its raw input is kept as a whole.
    """

    tag: str
    key: Key
    said: Said
    door: str
    sent: float
    answered: float = NEVER_ENDED
    answer: str | None = None
    request_id: str = ""
    host: str = ""
    group: str = ""
    place: int = 0
    atomic: bool = False
    rejected: frozenset[str] = frozenset()
    unset: Said | None = None
    mentioned: frozenset[str] = frozenset()
    row: Row | None = None
    perhaps: list[Row] = field(default_factory=list)  # rows of nobody that may be its own

    @property
    def outcome(self) -> str | None:
        """The one outcome that it has, as far as that is known."""
        if self.row:
            return self.row.outcome
        return None if self.answer in FAILED | NOTHING | {None, "spooled"} else self.answer

    @property
    def of_the_whole(self) -> bool:
        """Whether its outcome is that of the whole atomic batch, which is kept as one row."""
        return self.atomic and bool(self.request_id) and "-" not in self.request_id

    @property
    def surely(self) -> bool:
        """Whether it happened, at some moment."""
        return bool(self.row) or self.answer not in FAILED | NOTHING | {None}

    @property
    def ended(self) -> float:
        """Since when it has happened: what is spooled, or failed, may happen later."""
        return self.answered if self.answer not in FAILED | NOTHING | {None, "spooled"} else NEVER_ENDED


@dataclass(slots=True)
class Erasure:
    """One `erase` of a click id; `surely` when it said that it is done, `at` as the book has it."""

    click_id: str
    began: float
    ended: float = NEVER_ENDED
    surely: bool = False
    at: float | None = None


@dataclass(slots=True)
class History:
    """Everything that one round sent and asked for, and from when on its odd word may be understood."""

    operations: list[Operation] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    understood_from: float = NEVER_ENDED

    def may_be(self, one: Operation) -> frozenset[str]:
        """Return the outcomes that an operation can have; which of those that are judged, the order says."""
        return one.rejected or JUDGED

    def meanings(self, one: Operation) -> tuple[Said, ...]:
        """Return what an operation may say: with an odd word two things, once that may have been set up."""
        if one.unset is None:
            return (one.said,)
        return (one.unset, one.said) if one.answered >= self.understood_from else (one.unset,)
