"""Owns reconciling: a partner's list and what is stored, compared click id by click id, however long they are.

Both lists go into a temporary database on disk and come out in one order, so memory holds one click id at a time, and
none of the rows without one.
"""

import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, groupby, islice, zip_longest
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

from service.core.lifecycle import UNPAID
from service.core.trade_names import unread_in
from service.core.verdict import WORTHLESS
from service.operations.files.row_file import Advance
from service.operations.reconciling.claims import Amount, Claim, Waiting, after_reversals
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.partner_list import Line, PartnerList, Row
from service.storage.reads.conversions import Stored

Kind = Literal["matched", "value_differs", "status_differs", "missing_here", "missing_there", "unpaid", "unreadable"]
AGREED: frozenset[Kind] = frozenset({"matched", "unpaid"})  # what is no difference

_LOOKED_UP = 500  # differences explained at once


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


class Reconciliation:
    """A comparison; `totals` is complete when `differences` was read to its end."""

    def __init__(self, ours: Ours) -> None:
        self.totals: dict[Kind, Total] = {kind: Total() for kind in get_args(Kind)}
        self._here = ours
        self._nameless = 0  # rows of theirs without a click id: they come before all others

    def differences(self, partner: PartnerList, advance: Advance) -> Iterator[list[Difference]]:
        """Yield what differs, by click id, some at a time. Raises UnreadableFile and StorageError."""
        columns = partner.columns
        with closing(sqlite3.connect("", isolation_level=None)) as lists:  # a file that is gone when it is closed
            lists.executescript(LISTS)
            with partner.lines(advance) as theirs:
                lists.executemany(PUT, (line.row(ours=False) for line in theirs))
            ours = self._ours(lists, by_transaction=columns.transaction_id is not None)
            lists.executemany(PUT, (line.row(ours=True) for line in ours))
            lists.execute("COMMIT")
            self._here.search(lists)
            differing = self._differing(lists, paired if columns.value is not None else present)
            while some := list(islice(differing, _LOOKED_UP)):
                yield self._explained(lists, some)

    def _ours(self, lists: sqlite3.Connection, *, by_transaction: bool) -> Iterator[Line]:
        for page in self._here.pages():
            for row in page:
                transaction_id = row.transaction_id if by_transaction else ""
                unpaid = _unpaid(row)
                micros = 0 if unpaid else row.current_value_micros
                if not row.current_value:
                    told = "; ".join([WORTHLESS, *unread_in(row.params, "", row.conversion_status)])
                    lists.execute(_PUT_WORTHLESS, (row.request_id, told))
                currency = row.current_currency or ""
                yield Line(row.click_id, transaction_id, micros, currency, row.request_id, unpaid=unpaid)

    def _differing(self, lists: sqlite3.Connection, pairing: "_Pairing") -> Iterator[Difference]:
        for click_id, lines in groupby(lists.execute(_IN_ORDER), itemgetter(0)):
            if click_id:
                yield from self._of_click_id(click_id, lines, pairing)
                continue
            for *_, place, reason, _ in lines:  # a list may be millions of these
                self._nameless += 1
                yield self._told(Difference("unreadable", "", "", None, Claim(None, place), reason))

    def _of_click_id(self, click_id: str, lines: Iterable[Row], pairing: "_Pairing") -> Iterator[Difference]:
        """Yield what differs of one click id, transaction by transaction.

        What we have and their list seems to lack is told with a row of theirs that could not be read, if there is one:
        first of the same transaction, then one whose transaction could not be read. Those come first.
        """
        unknown: deque[Difference] = deque()
        for transaction_id, group in groupby(lines, itemgetter(1)):
            here, there, unread = _sorted_out(click_id, transaction_id, group)
            if transaction_id is None:
                unknown = unread
                continue
            for kind, mine, theirs in pairing(here, there):
                told = (claim.unpaid or claim.less for claim in (mine, theirs) if claim)
                why = "; ".join(filter(None, told))
                one = Difference(kind, click_id, transaction_id, mine, theirs, why)
                if kind == "missing_there":
                    rows = unread or unknown
                    one = rows.popleft()._replace(here=mine) if rows else one._replace(explanation=self._perhaps())
                if self._told(one).kind not in AGREED:
                    yield one
            yield from map(self._told, unread)
        yield from map(self._told, unknown)

    def _told(self, difference: Difference) -> Difference:
        self.totals[difference.kind].add(difference.here, difference.there)
        return difference

    def _perhaps(self) -> str:
        """Say that a conversion may be in the list all the same."""
        if not self._nameless:
            return ""
        rows = f"the {self._nameless} rows" if self._nameless > 1 else "the row"
        return f"unless it is in {rows} whose click id cannot be read"

    def _explained(self, lists: sqlite3.Connection, differences: list[Difference]) -> list[Difference]:
        missing = {it.click_id for it in differences if it.kind == "missing_here"}
        why = self._here.explanations(lists, missing)
        return [
            it._replace(explanation=why[it.click_id] if it.kind == "missing_here" else _worth(lists, it))
            for it in differences
        ]


def paired(here: list[Claim], there: list[Claim]) -> Iterator[tuple[Kind, Claim | None, Claim | None]]:
    """Pair the conversions of one key: equal amounts first, then whatever is left, in order. Each has an amount.

    What was rejected or refunded on one side comes last: it agrees with what is so on the other side as well, or is at
    0 there, or not there at all.
    """
    waiting = Waiting()
    for place, claim in enumerate(here):
        if claim.amount and not claim.unpaid:
            waiting.put(claim.amount, place)
    unequal = []
    for claim in there:
        amount = None if claim.unpaid else claim.amount
        taken = waiting.take(amount) if amount else None
        if taken is None:
            unequal.append(claim)
        else:
            yield "matched", here[taken], claim
    rest = [here[place] for same in waiting.queues.values() for place in sorted(chain.from_iterable(same.values()))]
    unpaid_here, unpaid_there = ([claim for claim in side if claim.unpaid] for side in (here, unequal))
    yield from (("unpaid", mine, theirs) for mine, theirs in zip(unpaid_here, unpaid_there, strict=False))
    rest += unpaid_here[len(unpaid_there) :]
    unequal = [claim for claim in unequal if not claim.unpaid] + unpaid_there[len(unpaid_here) :]
    for mine, theirs in zip_longest(rest, unequal):
        yield _kind(mine, theirs), mine, theirs


def _kind(mine: Claim | None, theirs: Claim | None) -> Kind:
    """Return what two conversions are to each other that do not match."""
    if not (mine and theirs):
        one = mine or theirs
        return "unpaid" if one and one.unpaid else "missing_here" if theirs else "missing_there"
    if mine.unpaid or theirs.unpaid:
        other = theirs if mine.unpaid else mine
        return "status_differs" if other.amount and other.amount.micros else "unpaid"
    return "value_differs"


def _worth(lists: sqlite3.Connection, one: Difference) -> str:
    """Return the explanation; of another value there that none was sent here, where that is so."""
    if one.kind != "value_differs" or one.here is None:
        return one.explanation
    found = lists.execute(_WORTHLESS, (one.here.place,)).fetchone()
    return found[0] if found else one.explanation


def _unpaid(row: Stored) -> str:
    """Say why a conversion is worth nothing now, since when, and what it was worth; nothing if it counts."""
    if row.conversion_status not in UNPAID:
        return ""
    since = row.changed_at or row.received_at
    worth = f"{row.current_value} {row.current_currency or ''}".rstrip() or "of no value"
    return f"{row.conversion_status} here, {since:%Y-%m-%d %H:%M:%S} UTC: it was {worth}"


def present(here: list[Claim], there: list[Claim]) -> Iterator[tuple[Kind, Claim | None, Claim | None]]:
    """Pair the conversions of a click id with rows that have no amounts: one row is enough for all of them."""
    for mine in here:
        kind: Kind = "unpaid" if mine.unpaid else "matched" if there else "missing_there"
        yield kind, mine, there[0] if there else None
    if not here:
        yield from (("missing_here", None, theirs) for theirs in there)


_Pairing = Callable[[list[Claim], list[Claim]], Iterator[tuple[Kind, Claim | None, Claim | None]]]


def _sorted_out(
    click_id: str, transaction_id: str | None, rows: Iterable[Row]
) -> tuple[list[Claim], list[Claim], deque[Difference]]:
    """Return the conversions of one key here and there, and the rows of it that cannot be read."""
    here: list[Claim] = []
    there: list[Claim] = []
    unread: deque[Difference] = deque()
    for _, _, ours, micros, currency, place, reason, unpaid in rows:
        claim = Claim(None if micros is None else Amount(micros, currency), place, unpaid)
        if reason:
            unread.append(Difference("unreadable", click_id, transaction_id or "", None, claim, reason))
        else:
            (here if ours else there).append(claim)
    return here, after_reversals(here, there), unread


LISTS = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;
    CREATE TABLE line (
        click_id TEXT, transaction_id TEXT, ours INTEGER, micros INTEGER, currency TEXT, place TEXT, reason TEXT,
        unpaid TEXT
    );
    CREATE TABLE worthless (request_id TEXT PRIMARY KEY, told TEXT) WITHOUT ROWID;
    BEGIN;
"""
PUT = "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_WORTHLESS = "INSERT INTO worthless VALUES (?, ?)"
_WORTHLESS = "SELECT told FROM worthless WHERE request_id = ?"
_IN_ORDER = "SELECT * FROM line ORDER BY click_id, transaction_id, rowid"  # NULL comes first
