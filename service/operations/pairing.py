"""Owns reconciling: a partner's list and what is stored, compared click id by click id, however long they are.

Both lists go into a temporary database on disk and come out in one order, so memory holds one click id at a time, and
none of the rows that cannot be read.
"""

import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby, islice, zip_longest
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

from service.core.decoding import decode_csv
from service.core.fields.amounts import micros_of
from service.core.outcome import Rejected
from service.operations.row_file import Advance, RowFile, UnreadableFile
from service.storage.reads.conversions import Conversions, Wanted
from service.storage.reads.quarantine import Quarantine

Kind = Literal["matched", "value_differs", "missing_here", "missing_there", "unreadable"]

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
    """One conversion of a list; `place` is its row there, or its request_id here. No amount: it cannot be read."""

    amount: Amount | None
    place: str


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

    def __init__(self, conversions: Conversions, quarantine: Quarantine, wanted: Wanted) -> None:
        self.totals: dict[Kind, Total] = {kind: Total() for kind in get_args(Kind)}
        self._conversions = conversions
        self._quarantine = quarantine
        self._wanted = wanted

    def differences(self, file: RowFile, columns: Columns, advance: Advance) -> Iterator[list[Difference]]:
        """Yield what differs, by click id, some at a time. Raises UnreadableFile and StorageError."""
        with closing(sqlite3.connect("", isolation_level=None)) as lists:  # a file that is gone when it is closed
            lists.executescript(_LISTS)
            lists.executemany(_PUT, _theirs(file, columns, advance))
            lists.executemany(_PUT, self._ours(by_transaction=columns.transaction_id is not None))
            lists.execute("COMMIT")
            differing = self._differing(lists)
            while some := list(islice(differing, _LOOKED_UP)):
                yield self._explained(some)

    def _ours(self, *, by_transaction: bool) -> "Iterator[_Line]":
        for page in self._conversions.pages(self._wanted):
            for row in page:
                transaction_id = row.transaction_id if by_transaction else ""
                yield (
                    row.click_id,
                    transaction_id,
                    True,
                    row.current_value_micros,
                    row.current_currency or "",
                    row.request_id,
                )

    def _differing(self, lists: sqlite3.Connection) -> Iterator[Difference]:
        for (click_id, transaction_id), lines in groupby(lists.execute(_IN_ORDER), itemgetter(0, 1)):
            here: list[Claim] = []
            there: list[Claim] = []
            for _, _, ours, micros, currency, place in lines:
                if micros is None:  # a list may be millions of these, all without a click id
                    unreadable = Claim(None, place)
                    self.totals["unreadable"].add(None, unreadable)
                    yield Difference("unreadable", click_id, transaction_id, None, unreadable)
                else:
                    (here if ours else there).append(Claim(Amount(micros, currency), place))
            for kind, mine, theirs in paired(here, there):
                self.totals[kind].add(mine, theirs)
                if kind != "matched":
                    yield Difference(kind, click_id, transaction_id, mine, theirs)

    def _explained(self, differences: list[Difference]) -> list[Difference]:
        missing = list({it.click_id for it in differences if it.kind == "missing_here"})
        received = self._conversions.received(missing) if missing else {}
        reasons = self._quarantine.reasons(missing) if missing else {}
        return [
            it._replace(explanation=self._explanation(received.get(it.click_id), reasons.get(it.click_id)))
            if it.kind == "missing_here"
            else it
            for it in differences
        ]

    def _explanation(self, received: list[datetime] | None, reason: tuple[str, str] | None) -> str:
        """Say what is known of a click id of which the partner has one conversion more."""
        since, until = self._wanted.since, self._wanted.until
        outside = [it for it in received or () if (since and it < since) or (until and it >= until)]
        if outside:
            return f"stored, outside the period: {min(outside):%Y-%m-%d %H:%M:%S} UTC"
        if reason:
            return f"rejected: {reason[0]}: {reason[1]}"
        return "the click id is stored, not this conversion of it" if received else "never arrived"


def paired(here: list[Claim], there: list[Claim]) -> Iterator[tuple[Kind, Claim | None, Claim | None]]:
    """Pair the conversions of one key: equal amounts first, then whatever is left, in order. Each has an amount."""
    waiting: dict[int, _Waiting] = defaultdict(lambda: defaultdict(deque))
    for place, claim in enumerate(here):
        if claim.amount:
            waiting[claim.amount.micros][claim.amount.currency].append(place)
    unequal = []
    for claim in there:
        taken = _first(waiting.get(claim.amount.micros, {}), claim.amount.currency) if claim.amount else None
        if taken is None:
            unequal.append(claim)
        else:
            yield "matched", here[taken], claim
    rest = [here[place] for same in waiting.values() for place in sorted(chain.from_iterable(same.values()))]
    for mine, theirs in zip_longest(rest, unequal):
        kind: Kind = "missing_here" if mine is None else "missing_there" if theirs is None else "value_differs"
        yield kind, mine, theirs


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


_Line = tuple[str, str, bool, int | None, str, str]  # click id, transaction id, ours, micros, currency, place


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
            yield click_id, transaction_id, False, micros, currency, str(number)


_LISTS = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;
    CREATE TABLE line (click_id TEXT, transaction_id TEXT, ours INTEGER, micros INTEGER, currency TEXT, place TEXT);
    BEGIN;
"""
_PUT = "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?)"
_IN_ORDER = "SELECT * FROM line ORDER BY click_id, transaction_id, rowid"
