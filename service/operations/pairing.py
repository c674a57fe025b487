"""Owns reconciling: a partner's list and what is stored, compared click id by click id, however long they are.

Both lists go into a temporary database on disk and come out in one order, so memory holds one click id at a time, and
none of the rows that cannot be read.
"""

import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, groupby, islice, zip_longest
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

from service.core.decoding import decode_csv
from service.core.fields.amounts import micros_of
from service.core.lifecycle import UNPAID
from service.core.outcome import Rejected
from service.operations.explaining import Ours
from service.operations.row_file import Advance, RowFile, UnreadableFile
from service.storage.reads.conversions import Stored

Kind = Literal["matched", "value_differs", "status_differs", "missing_here", "missing_there", "unpaid", "unreadable"]
AGREED: frozenset[Kind] = frozenset({"matched", "unpaid"})  # what is no difference

# What partners call their columns, the likelier name first; in small letters, with _ for spaces and dashes. Not the
# transaction id: a partner's own may be another than ours, so its column must be said.
NAMES: Mapping[str, tuple[str, ...]] = {
    "click_id": ("click_id", "clickid", "c", "cid", "subid", "sub_id", "subid1", "aff_sub", "click"),
    "value": ("value", "amount", "payout", "revenue", "price", "sum"),
    "currency": ("currency", "currency_code"),
}
_LOOKED_UP = 500  # differences explained at once


class Amount(NamedTuple):
    """An amount in millionths, and its currency's code, empty where none was said."""

    micros: int
    currency: str


class Claim(NamedTuple):
    """One conversion of a list; `place` is its row there, or its request_id here. No amount: it cannot be read.

    `unpaid` says why one of ours is worth nothing now: it was rejected or refunded. Its amount is 0 then.
    """

    amount: Amount | None
    place: str
    unpaid: str = ""


class Difference(NamedTuple):
    """Where the lists differ; `explanation` says why, as far as it is known here."""

    kind: Kind
    click_id: str
    transaction_id: str
    here: Claim | None
    there: Claim | None
    explanation: str = ""


@dataclass
class Total:
    """How many there are of a kind, and their amounts on either side, in millionths by currency."""

    count: int = 0
    here: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    there: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, here: Claim | None, there: Claim | None) -> None:
        """Count one."""
        self.count += 1
        for side, claim in ((self.here, here), (self.there, there)):
            if claim and claim.amount:
                side[claim.amount.currency] += claim.amount.micros


class Said(NamedTuple):
    """Which columns of a partner's list a person named; None: see what they are called."""

    click_id: str | None = None
    value: str | None = None
    transaction_id: str | None = None
    currency: str | None = None


class Columns(NamedTuple):
    """Which columns of a partner's list say what; None: no column does."""

    click_id: str
    value: str
    transaction_id: str | None
    currency: str | None


def columns_of(file: RowFile, said: Said) -> Columns:
    """Return the columns that were said, and for the others what their names say. Raises UnreadableFile."""
    names = _header(file)
    shown = f"there are {', '.join(names)[:400]}"
    if strange := [column for column in said if column is not None and column not in names]:
        raise UnreadableFile(f"no column is called {' or '.join(strange)}; {shown}")
    known = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    guessed = {what: next((known[it] for it in guesses if it in known), None) for what, guesses in NAMES.items()}
    click_id, value = said.click_id or guessed["click_id"], said.value or guessed["value"]
    if click_id is None or value is None:
        option = "--click-id-column" if click_id is None else "--value-column"
        raise UnreadableFile(f"say with {option} which column it is; {shown}")
    return Columns(click_id, value, said.transaction_id, said.currency or guessed["currency"])


class Reconciliation:
    """A comparison; `totals` is complete when `differences` was read to its end."""

    def __init__(self, ours: Ours) -> None:
        self.totals: dict[Kind, Total] = {kind: Total() for kind in get_args(Kind)}
        self._here = ours

    def differences(self, file: RowFile, columns: Columns, advance: Advance) -> Iterator[list[Difference]]:
        """Yield what differs, by click id, some at a time. Raises UnreadableFile and StorageError."""
        with closing(sqlite3.connect("", isolation_level=None)) as lists:  # a file that is gone when it is closed
            lists.executescript(_LISTS)
            lists.executemany(_PUT, _theirs(file, columns, advance))
            lists.executemany(_PUT, self._ours(by_transaction=columns.transaction_id is not None))
            lists.execute("COMMIT")
            self._here.search(lists)
            differing = self._differing(lists)
            while some := list(islice(differing, _LOOKED_UP)):
                yield self._explained(lists, some)

    def _ours(self, *, by_transaction: bool) -> "Iterator[_Line]":
        for page in self._here.pages():
            for row in page:
                transaction_id = row.transaction_id if by_transaction else ""
                unpaid = _unpaid(row)
                micros = 0 if unpaid else row.current_value_micros
                currency = row.current_currency or ""
                yield row.click_id, transaction_id, True, micros, currency, row.request_id, unpaid

    def _differing(self, lists: sqlite3.Connection) -> Iterator[Difference]:
        for (click_id, transaction_id), lines in groupby(lists.execute(_IN_ORDER), itemgetter(0, 1)):
            here: list[Claim] = []
            there: list[Claim] = []
            for _, _, ours, micros, currency, place, reason in lines:
                if micros is None:  # a list may be millions of these, all without a click id
                    unreadable = Claim(None, place)
                    self.totals["unreadable"].add(None, unreadable)
                    yield Difference("unreadable", click_id, transaction_id, None, unreadable)
                else:
                    (here if ours else there).append(Claim(Amount(micros, currency), place, reason))
            for kind, mine, theirs in paired(here, there):
                self.totals[kind].add(mine, theirs)
                if kind not in AGREED:
                    yield Difference(kind, click_id, transaction_id, mine, theirs, mine.unpaid if mine else "")

    def _explained(self, lists: sqlite3.Connection, differences: list[Difference]) -> list[Difference]:
        missing = {it.click_id for it in differences if it.kind == "missing_here"}
        why = self._here.explanations(lists, missing)
        return [it._replace(explanation=why[it.click_id]) if it.kind == "missing_here" else it for it in differences]


def paired(here: list[Claim], there: list[Claim]) -> Iterator[tuple[Kind, Claim | None, Claim | None]]:
    """Pair the conversions of one key: equal amounts first, then whatever is left, in order. Each has an amount.

    What was rejected or refunded here comes last: it agrees with a list that has it at 0, or not at all.
    """
    waiting: dict[int, _Waiting] = defaultdict(lambda: defaultdict(deque))
    for place, claim in enumerate(here):
        if claim.amount and not claim.unpaid:
            waiting[claim.amount.micros][claim.amount.currency].append(place)
    unequal = []
    for claim in there:
        taken = _first(waiting.get(claim.amount.micros, {}), claim.amount.currency) if claim.amount else None
        if taken is None:
            unequal.append(claim)
        else:
            yield "matched", here[taken], claim
    rest = [here[place] for same in waiting.values() for place in sorted(chain.from_iterable(same.values()))]
    rest += [claim for claim in here if claim.unpaid]
    for mine, theirs in zip_longest(rest, unequal):
        yield _kind(mine, theirs), mine, theirs


def _kind(mine: Claim | None, theirs: Claim | None) -> Kind:
    """Return what two conversions are to each other that do not match."""
    if mine is None:
        return "missing_here"
    if mine.unpaid:
        return "status_differs" if theirs and theirs.amount and theirs.amount.micros else "unpaid"
    return "missing_there" if theirs is None else "value_differs"


def _unpaid(row: Stored) -> str:
    """Say why a conversion is worth nothing now, since when, and what it was worth; nothing if it counts."""
    if row.conversion_status not in UNPAID:
        return ""
    since = row.changed_at or row.received_at
    worth = f"{row.current_value} {row.current_currency or ''}".rstrip()
    return f"{row.conversion_status} here, {since:%Y-%m-%d %H:%M:%S} UTC: it was {worth}"


_Waiting = dict[str, deque[int]]  # by currency: the places of conversions of one amount, in order


def _first(same: _Waiting, currency: str) -> int | None:
    """Take the first place whose currency is this one, where both say one; a queue for each, so as not to search."""
    agreeing = [same[code] for code in ((currency, "") if currency else same) if same.get(code)]
    return min(agreeing, key=lambda places: places[0]).popleft() if agreeing else None


def _header(file: RowFile) -> list[str]:
    try:
        header = file.header()
        return [name for name, _ in decode_csv(header + b"\n" + header)]
    except Rejected as refused:
        raise UnreadableFile(f"{file.path} has no header of CSV: {refused.detail}") from None


_Line = tuple[
    str, str, bool, int | None, str, str, str
]  # click id, transaction id, ours, micros, currency, place, reason


def _theirs(file: RowFile, columns: Columns, advance: Advance) -> Iterator[_Line]:
    header = file.header() + b"\n"
    with file.rows(advance) as rows:
        for number, row in enumerate(islice(rows, 1, None), 1):
            try:
                cells = {name: cell.strip() for name, cell in decode_csv(header + row)}
            except Rejected:
                cells = {}
            click_id, value = cells.get(columns.click_id, ""), cells.get(columns.value, "")
            micros = micros_of(value) if click_id else None
            transaction_id = cells.get(columns.transaction_id, "") if columns.transaction_id else ""
            currency = cells.get(columns.currency, "").upper() if columns.currency else ""
            yield click_id, transaction_id, False, micros, currency, str(number), ""


_LISTS = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;
    CREATE TABLE line (
        click_id TEXT, transaction_id TEXT, ours INTEGER, micros INTEGER, currency TEXT, place TEXT, reason TEXT
    );
    BEGIN;
"""
_PUT = "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)"
_IN_ORDER = "SELECT * FROM line ORDER BY click_id, transaction_id, rowid"
