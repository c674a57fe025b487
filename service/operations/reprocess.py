"""Owns reprocess: stored conversions read again by today's rules of their sender, and corrected where that differs.

A correction is a row of its own in the conversion's history. Nothing that is stored is changed, no postback is counted,
and what the sender sends again is judged by both readings. Done twice, or interrupted and done again, each conversion
is corrected once: what was corrected is read as it is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from service.core.postback import ConversionKey
from service.core.rereading import OTHER_KEY, History, Reread, reread
from service.core.sender import Sender
from service.core.verdict import Correction, Winner
from service.operations.reconciling.operation import decimal
from service.operations.sole_writer import sole_writer
from service.storage.corrections import Occasion
from service.storage.database import Database
from service.storage.reads.conversions import Wanted

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]  # what is done, of how many
Currency = str | None


@dataclass(frozen=True, slots=True)
class Order:
    """Which conversions of which sender are read again. What `watch` gives is called with how many more were."""

    wanted: Wanted
    sender: Sender
    watch: Watch = lambda _title, _total: nullcontext(lambda _more: None)


@dataclass(slots=True)
class Group:
    """Conversions that are corrected for the same reasons, and by how much that changes what they are worth.

    `sums` are in millionths by currency.
    """

    count: int = 0
    sums: Counter[Currency] = field(default_factory=Counter)

    def add(self, before: Winner, after: Winner) -> None:
        """Count one."""
        self.count += 1
        self.sums[before.worth.currency] -= before.worth.value_micros
        self.sums[after.worth.currency] += after.worth.value_micros


@dataclass(slots=True)
class Reprocessed:
    """What reading again makes of the chosen conversions, or made of them once it is `done`.

    `corrected` is by the reasons, `rejected` by the outcome that they would have today. `other_key` are those that
    would be other conversions today; `unchanged` are read as they were.
    """

    corrected: dict[tuple[str, ...], Group] = field(default_factory=lambda: defaultdict(Group))
    rejected: Counter[str] = field(default_factory=Counter)
    other_key: int = 0
    unchanged: int = 0
    done: bool = False

    @property
    def changed(self) -> int:
        """How many conversions are corrected."""
        return sum(group.count for group in self.corrected.values())

    def add(self, history: History, today: Reread) -> None:
        """Count one."""
        if today.corrections:
            self.corrected[today.why].add(history.winner, today.after(history.winner))
        elif today.left == OTHER_KEY:
            self.other_key += 1
        elif today.left:
            self.rejected[today.left] += 1
        else:
            self.unchanged += 1

    def in_order(self) -> list[tuple[tuple[str, ...], Group]]:
        """Return the groups, the largest first."""
        return sorted(self.corrected.items(), key=lambda named: (-named[1].count, named[0]))

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "done": self.done,
            "corrected": [
                {"why": list(why), "count": group.count, "sums": _sums(group.sums)} for why, group in self.in_order()
            ],
            "rejected": dict(self.rejected),
            "other_key": self.other_key,
            "unchanged": self.unchanged,
        }


def _sums(sums: Mapping[Currency, int]) -> dict[str, str]:
    return {currency or "": decimal(micros) for currency, micros in sums.items() if micros}


def rehearse(database: Database, order: Order) -> Reprocessed:
    """Count what reading again would change. Raises StorageError."""
    found = Reprocessed()
    for _ in _corrections(database, order, found):
        pass
    return found


def reprocess(
    database: Database, order: Order, by: str, reason: str, agree: Callable[[Reprocessed], object]
) -> Reprocessed:
    """Do it, a page at a time.

    `agree` is told what would be changed before anything is, and raises to stop it; on SQLite nobody writes between.
    Raises BeingServed and StorageError.
    """
    database.corrections()  # where there is no file, none is made
    with sole_writer(database, "reprocess"):
        foreseen = rehearse(database, order)
        if not foreseen.changed:
            return replace(foreseen, done=True)
        agree(foreseen)
        book, done = database.corrections(), Reprocessed(done=True)
        occasion = Occasion(datetime.now(UTC), by, reason)
        for page in _corrections(database, order, done):
            book.add(page, occasion)
    return done


def _corrections(
    database: Database, order: Order, found: Reprocessed
) -> Iterator[list[tuple[ConversionKey, Sequence[Correction]]]]:
    """Yield the corrections of one page after the other, and count what became of each conversion."""
    total = database.conversions().count(order.wanted)
    with order.watch("correcting" if found.done else "reading", total) as advance:
        for page in database.corrections().histories(order.wanted, order.sender.name):
            yield list(_of(page, order.sender, found))
            advance(len(page))


def _of(
    page: Iterable[History], sender: Sender, found: Reprocessed
) -> Iterator[tuple[ConversionKey, Sequence[Correction]]]:
    for history in page:
        today = reread(history, sender)
        found.add(history, today)
        if today.corrections:
            yield history.key, today.corrections
