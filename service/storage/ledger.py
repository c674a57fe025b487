"""Owns what every engine's ledger shares: entries in, one verdict for each out, and how an entry becomes a row.

An engine (sqlite.py, postgres.py) owns its statements and its connection; what a row holds and what a repeated key
means is decided here, once, so that all engines agree.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import orjson

from service.core.judging import IN_DOUBT, Judged, Part, Refusal
from service.core.outcome import Outcome
from service.core.postback import Postback, Rejection
from service.core.verdict import REPEATED, Change, Entry, Probe, Verdict
from service.storage.schema.registry import OF_POSTBACKS, REJECTED, StoredTable
from service.storage.shared_input import Beginnings

DEADLINE_SECONDS = 1.2  # for a batch with its retries; the writer gives up at 1.5
MAX_BATCH = 1024  # entries: far more would keep those who come meanwhile waiting, and gain little

Scalar = str | int | bytes | datetime | None
Row = tuple[Scalar, ...]
Moment = Callable[[datetime], Scalar]  # how an engine wants a UTC datetime in a row
_TABLES = {table.outcome: table for table in OF_POSTBACKS if table.outcome}


class Committed(NamedTuple):
    """A batch that is durable: its verdicts in the order of its entries, and the rows that it has in each table.

    `recognised` entries were recorded before this commit began: their verdicts are those, and no row of theirs is
    counted. `unstored` are the request ids of entries that have no row; `refusals` say which were refused together, by
    the place of the first of them. `late` are rows of earlier commits, of which nobody knew whether they had worked.
    `not_kept` are entries that have no row, but a number in the book of deletions, by why.
    """

    verdicts: list[Verdict]
    rows: dict[str, int]
    recognised: int = 0
    unstored: Container[str] = frozenset()
    refusals: Mapping[int, Refusal] = MappingProxyType({})
    late: Mapping[str, int] = MappingProxyType({})
    not_kept: Mapping[str, int] = MappingProxyType({})


class Ledger(Protocol):
    """The writing side of an engine. Used by one thread; every call may block. All raise StorageError."""

    def open(self) -> None:
        """Connect, and refuse what could not keep a promise: the 200s of a ledger that opened are receipts."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = (), /) -> Committed:
        """Store MAX_BATCH entries, or a batch of all or none, and return their verdicts, in order, once durable.

        All of it is one transaction. `parts` says which entries are not simply new. After a StorageError nothing may be
        acknowledged, and nothing is durable, unless its `rows` say so or the answer to the commit was lost.
        """

    def close(self) -> None:
        """Let go of the database."""


@runtime_checkable
class AsyncLedger(Ledger, Protocol):
    """A ledger that can also commit on an event loop."""

    async def commit_async(self, entries: Sequence[Entry], parts: Sequence[Part] = (), /) -> Committed:
        """Commit as `commit` does, and let the loop serve others meanwhile."""


class Rows(NamedTuple):
    """What a judged batch writes into each table, in the order of `table.columns`."""

    conversions: list[Row]
    changes: list[Row]
    duplicates: list[Row]
    rejected: list[Row]


class Written(NamedTuple):
    """The rows of a judged batch, and what some of the rejected ones begin with."""

    rows: Rows
    shared: list[Row]


def rows_of(judged: Judged, moment: Moment) -> Written:
    """Return the rows that follow from the verdicts."""
    beginnings = Beginnings()
    rows = Rows(
        [conversion_row(postback, moment) for postback in judged.new],
        [_change_row(postback, change, moment) for postback, change in judged.changes],
        [_duplicate_row(postback, moment) for postback in judged.duplicates],
        [_rejected_row(entry, verdict, moment, beginnings) for entry, verdict in judged.kept],
    )
    shared = sorted(beginnings.rows.values())  # in one order: two who write the same wait for each other, and no more
    return Written(rows, [(*one[:3], moment(one.used_at)) for one in shared])


def committed(entries: Sequence[Entry], judged: Judged, recognised: Container[str]) -> Committed:
    """Return what became of a batch. An earlier try of this commit wrote what was found and is not recognised."""
    rows = dict.fromkeys((table.name for table in OF_POSTBACKS), 0)
    counted: set[str] = set()
    known = 0
    unkept = judged.unkept
    for entry, verdict in zip(entries, judged.verdicts, strict=True):
        if isinstance(entry, Probe) or (request_id := entry.raw.request_id) in judged.unstored:
            continue
        if request_id in recognised or request_id in counted:
            known += 1
            continue
        counted.add(request_id)
        if request_id not in unkept and (table := _table_of(verdict)):
            rows[table.name] += 1
    not_kept = Counter(reason.value for reason in unkept.values())
    return Committed(judged.verdicts, rows, known, judged.unstored, judged.refusals, not_kept=not_kept)


def _table_of(verdict: Verdict) -> StoredTable | None:
    return _TABLES.get(verdict.outcome) or (REJECTED if verdict.outcome.kept else None)


def found_rows(entries: Sequence[Entry], judged: Judged, recognised: Container[str]) -> Counter[str]:
    """Count by table what was found of a batch whose commit failed, but for what an earlier one had stored."""
    found: Counter[str] = Counter()
    for entry, verdict in zip(entries, judged.verdicts, strict=True):
        if isinstance(entry, Probe) or entry.raw.request_id not in judged.found:
            continue
        if entry.raw.request_id not in recognised and (table := _table_of(verdict)):
            found[table.name] += 1
    return found


def in_doubt(entries: Sequence[Entry], parts: Iterable[Part]) -> list[Postback | Rejection]:
    """Return the entries that an earlier commit may have judged."""
    some = (entries[first:end] for first, end, manner in parts if manner in IN_DOUBT)
    return [entry for entry in chain.from_iterable(some) if not isinstance(entry, Probe)]


def recorded_verdict(outcome: str, detail: str) -> Verdict:
    """Return the verdict that a row of `duplicate` or `rejected_postback` records."""
    return REPEATED if outcome == Outcome.DUPLICATE.value else Verdict(Outcome[outcome.upper()], detail)


def conversion_row(postback: Postback, moment: Moment) -> Row:
    """Return the values of CONVERSION's columns."""
    raw = postback.raw
    came = (moment(raw.received_at), raw.request_id, raw.door)
    params = _params(postback) if postback.params else "{}"  # without a call for each of many
    return (*postback[1:9], params, *came, postback.conversion_status)


def _duplicate_row(postback: Postback, moment: Moment) -> Row:
    return (*postback.key, moment(postback.raw.received_at), postback.raw.request_id, postback.raw.door)


def _change_row(postback: Postback, change: Change, moment: Moment) -> Row:
    raw, amount = postback.raw, (change.value, change.value_micros, change.currency)
    came = (moment(raw.received_at), raw.request_id, raw.door)
    return (*postback.key, change.number, change.conversion_status, *amount, _params(postback), *came)


def _params(postback: Postback) -> str:
    return orjson.dumps(postback.params).decode() if postback.params else "{}"


def _rejected_row(entry: Postback | Rejection, verdict: Verdict, moment: Moment, beginnings: Beginnings) -> Row:
    raw = entry.raw
    kept, shared = beginnings.cut(entry)
    return (
        moment(raw.received_at),
        raw.door,
        entry.sender,
        verdict.outcome.value,
        verdict.explanation,
        entry.click_id,
        kept,
        raw.request_id,
        *((entry.key_id, entry.came_from) if isinstance(entry, Rejection) else (None, None)),
        shared,
    )
