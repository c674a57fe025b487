"""Owns the books of law 5: what arrived, what is durable, what was told, what came too late, what left the spool.

Plain integers, changed on the event loop only, so the sums are 0 between any two of its turns. Nobody raises and lowers
a sum by hand: what comes in is an Account and what leaves the spool is a Move, and both settle at their end whatever
their holder left open.
"""

from collections import Counter as Tally
from collections.abc import Mapping
from typing import Protocol, Self

from service.core.outcome import Outcome
from service.core.postback import DOOR_NAMES, Door

UNKNOWN = "unknown"  # the sender of what nobody could show to be theirs
ERASED_WORD = "erased"  # what became of an entry that waited while its click id was erased: it has no row


class Teller(Protocol):
    """Who must tell somebody what became of entries that are durable."""

    def durable(self, entries: int, /) -> None:
        """Take over so many entries: they are durable, and nobody was told yet."""


class Books:
    """The sums of one process."""

    def __init__(self) -> None:
        self.arrived: dict[Door, int] = dict.fromkeys(DOOR_NAMES, 0)
        self.tests_arrived = 0
        self.in_progress = 0  # arrived, and without an outcome
        # The outcomes that were told, by door and sender. To add to a Counter costs 2,000 instructions, to a dict 900.
        self.received: dict[tuple[Door, Outcome, str], int] = {}
        self.tests: Tally[Outcome] = Tally()
        self.rows: Tally[str] = Tally()  # by table, as the database says
        self.not_kept: Tally[str] = Tally()  # rejections that are a number in the book instead of a row, by why
        self.untold = 0  # entries that are durable, in the hands of who must tell it
        self.late = 0  # rows that became durable after their writer was given up
        self.appended = 0  # entries that went into the spool
        self.removed = 0  # entries that left it
        self.drained: Tally[str] = Tally()  # what became of those in the database
        self.recognised = 0  # those of them whose row was there already
        self.inherited = 0  # those of them that an earlier process had spooled
        self.adopted = 0  # those of them that were in another journal, which nobody had

    def move(self) -> "Move":
        """Begin to move entries from the spool to the database."""
        return Move(self)

    @property
    def drift(self) -> dict[str, int]:
        """Law 5 as sums that must be 0, by the name of the check."""
        promised = sum(count for (_, outcome, _), count in self.received.items() if not outcome.our_fault)
        promised += sum(count for outcome, count in self.tests.items() if not outcome.our_fault)
        with_row = self.drained.total() - self.drained[ERASED_WORD]
        durable = self.untold + self.late + with_row - self.recognised
        arrived = sum(self.arrived.values()) + self.tests_arrived
        return {
            "arrivals": arrived - self.in_progress - sum(self.received.values()) - self.tests.total(),
            "receipts": promised + durable - self.rows.total() - self.not_kept.total(),
            "spool": self.drained.total() - self.removed,
        }


class Account:
    """Postbacks that came in together at one door, until each has its outcome. A Teller, to be ended in a `finally`.

    At its end those without an outcome have failed by our fault, and what is durable and was promised to nobody is a
    late commit, as is what becomes durable later: whoever holds it can be cut off anywhere and forget anything.
    """

    __slots__ = ("_books", "_door", "_durable", "_ended", "_postbacks", "_promised", "_told")

    def __init__(self, books: Books, door: Door, postbacks: int, tests: int = 0) -> None:
        """Count so many as arrived, of which some are tests."""
        books.arrived[door] += postbacks - tests
        if tests:
            books.tests_arrived += tests
        books.in_progress += postbacks
        self._books = books
        self._door = door
        self._postbacks = postbacks
        self._durable = self._promised = self._told = 0
        self._ended = False

    def durable(self, entries: int) -> None:
        """Take over so many entries: they are durable, and nobody was told yet."""
        if self._ended:
            self._books.late += entries
        else:
            self._durable += entries
            self._books.untold += entries

    def tell(self, outcome: Outcome, sender: str, postbacks: int = 1, is_test: bool = False) -> None:  # noqa: FBT001, FBT002 - the hot path
        """Count what so many of them are told; unless we failed, that is a promise of a row for each."""
        self._told += postbacks
        if not outcome.our_fault:
            self._promised += postbacks
        if is_test:
            self._books.tests[outcome] += postbacks
        else:
            self._receive(outcome, sender, postbacks)

    def _receive(self, outcome: Outcome, sender: str, postbacks: int) -> None:
        received, kind = self._books.received, (self._door, outcome, sender)
        received[kind] = received.get(kind, 0) + postbacks

    def end(self) -> None:
        """Settle what is open. A method, and no `with`: that would cost every postback a two-hundredth."""
        books = self._books
        self._ended = True
        books.in_progress -= self._postbacks
        durable = self._durable
        if durable:
            books.untold -= durable
            if durable > self._promised:
                books.late += durable - self._promised
        if self._told < self._postbacks:
            self._receive(Outcome.INTERNAL_ERROR, UNKNOWN, self._postbacks - self._told)


class Together(Account):
    """Postbacks that are all stored or none. They count as arrived when it is known which, or that we failed."""

    __slots__ = ("_arriving",)

    def __init__(self, books: Books, door: Door, postbacks: int, tests: int = 0) -> None:
        self._arriving: tuple[Books, Door, int, int] | None = (books, door, postbacks, tests)

    def durable(self, entries: int) -> None:
        """Take over so many entries: they are durable, and nobody was told yet."""
        self._arrive()
        super().durable(entries)

    def tell(self, outcome: Outcome, sender: str, postbacks: int = 1, is_test: bool = False) -> None:  # noqa: FBT001, FBT002
        """Count what so many of them are told."""
        self._arrive()
        super().tell(outcome, sender, postbacks, is_test)

    def end(self) -> None:
        """Settle what is open, if any of it counts: together they may have been refused as something else."""
        if self._arriving is None:
            super().end()

    def _arrive(self) -> None:
        if self._arriving:
            arriving, self._arriving = self._arriving, None
            super().__init__(*arriving)


class Move:
    """Entries on their way from the spool to the database. A context manager, and a Teller.

    At its end those that are in the database, and did not leave the spool, are late commits.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._durable = 0
        self._ended = False

    def __enter__(self) -> Self:
        """Be on the way."""
        return self

    def durable(self, entries: int) -> None:
        """Take over so many entries: the database has them, and the spool too."""
        if self._ended:
            self._books.late += entries
        else:
            self._durable += entries
            self._books.untold += entries

    def left(self, became: Mapping[str, int], removed: int, inherited: int, adopted: int = 0) -> None:
        """Count entries that left the spool: what became of them in the database, and how many rows it removed.

        Those that were erased have no row there, so they were never durable.
        """
        with_row = sum(became.values()) - became.get(ERASED_WORD, 0)
        self._durable -= with_row
        self._books.untold -= with_row
        self._books.drained.update(became)
        self._books.removed += removed
        self._books.inherited += inherited
        self._books.adopted += adopted

    def __exit__(self, *_: object) -> None:
        """Settle what is open."""
        self._ended = True
        self._books.untold -= self._durable
        self._books.late += self._durable


class _Nobody:
    """Tells nobody: a probe has no row, and a rehearsal stores nothing."""

    def durable(self, entries: int) -> None:
        """Take nothing over."""


NOBODY = _Nobody()
