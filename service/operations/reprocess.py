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
from service.storage.corrections import Corrections, Occasion
from service.storage.database import Database
from service.storage.reads.conversions import Wanted

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]  # what is done, of how many
Currency = str | None
LISTED = 5  # click ids of a group, for a person


@dataclass(frozen=True, slots=True)
class Order:
    """Which conversions of which sender are read again. What `watch` gives is called with how many more were.

    `listed`: so many click ids are told of each group; None: all.
    """

    wanted: Wanted
    sender: Sender
    watch: Watch = lambda _title, _total: nullcontext(lambda _more: None)
    listed: int | None = LISTED


@dataclass(slots=True)
class Group:
    """Conversions of which the same is told: how many, the click ids that are listed of them.

    `sums` say by how much corrections change what they are worth, in millionths by currency.
    """

    count: int = 0
    click_ids: list[str] = field(default_factory=list)
    sums: Counter[Currency] = field(default_factory=Counter)

    def add(self, click_id: str, most: int | None) -> None:
        """Count one."""
        self.count += 1
        if most is None or len(self.click_ids) < most:
            self.click_ids.append(click_id)

    def change(self, before: Winner, after: Winner) -> None:
        """Sum up one that is corrected."""
        self.sums[before.worth.currency] -= before.worth.value_micros
        self.sums[after.worth.currency] += after.worth.value_micros


@dataclass(slots=True)
class Reprocessed:
    """What reading again makes of the chosen conversions, or made of them once it is `done`.

    `corrected` is by the reasons, `rejected` by the outcome that they would have today. `other_key` are those that
    would be other conversions today: `twice` are those of them that are stored under today's key as well, and `repeats`
    is how many duplicates of them came, which are not kept as they were sent. `unchanged` are read as they were.
    """

    corrected: dict[tuple[str, ...], Group] = field(default_factory=lambda: defaultdict(Group))
    rejected: dict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    other_key: Group = field(default_factory=Group)
    twice: Group = field(default_factory=Group)
    repeats: int = 0
    unchanged: int = 0
    done: bool = False

    @property
    def changed(self) -> int:
        """How many conversions are corrected."""
        return sum(group.count for group in self.corrected.values())

    def add(self, history: History, today: Reread, most: int | None) -> None:
        """Count one; list its click id, if its group has not `most` of them yet."""
        click_id = history.key[2]
        if today.corrections:
            self.corrected[today.why].add(click_id, most)
            self.corrected[today.why].change(history.winner, today.after(history.winner))
        elif today.left == OTHER_KEY:
            self.other_key.add(click_id, most)
        elif today.left:
            self.rejected[today.left].add(click_id, most)
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
                {"why": list(why), "count": group.count, "sums": _sums(group.sums), "click_ids": group.click_ids}
                for why, group in self.in_order()
            ],
            "rejected": {outcome: group.count for outcome, group in self.rejected.items()},
            "rejected_click_ids": {outcome: group.click_ids for outcome, group in self.rejected.items()},
            "other_key": self.other_key.count,
            "other_key_click_ids": self.other_key.click_ids,
            "twice": self.twice.count,
            "twice_click_ids": self.twice.click_ids,
            "repeats": self.repeats,
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
            yield list(_of(page, database.corrections(), order, found))
            advance(len(page))


def _of(
    page: Iterable[History], book: Corrections, order: Order, found: Reprocessed
) -> Iterator[tuple[ConversionKey, Sequence[Correction]]]:
    others: dict[ConversionKey, ConversionKey] = {}  # today's keys by the stored ones
    for history in page:
        today = reread(history, order.sender)
        found.add(history, today, order.listed)
        if today.key is not None:
            others[history.key] = today.key
        if today.corrections:
            yield history.key, today.corrections
    if others:
        found.repeats += book.repeats([*others])
        stored = book.stored([*others.values()])
        for key, now in others.items():
            if now in stored:
                found.twice.add(key[2], order.listed)
