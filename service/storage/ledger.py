"""Owns what every engine's ledger shares: entries in, one verdict for each out, and how an entry becomes a row.

An engine (sqlite.py, postgres.py) owns its statements and its connection; what a row holds and what a repeated key
means is decided here, once, so that all engines agree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, assert_never

import orjson

from service.outcome import Diagnosis, Outcome, told
from service.postback import Key, Postback, Rejection
from service.storage.engine import StorageError

VANISHED = "VANISHED"  # the kind of StorageError that says: what held a key was deleted before it could be asked
MAX_BATCH = 1024  # entries: far more would keep those who come meanwhile waiting, and gain little

Scalar = str | int | bytes | datetime | None
Row = tuple[Scalar, ...]
Moment = Callable[[datetime], Scalar]  # how an engine wants a UTC datetime in a row


@dataclass(frozen=True, slots=True)
class Probe:
    """An entry that stores nothing but proves that a commit works."""

    at: datetime


Entry = Postback | Rejection | Probe


class Verdict(NamedTuple):
    """What storage did with one entry; `detail` says why it is not simply stored, `diagnosis` what to change."""

    outcome: Outcome
    detail: str = ""
    diagnosis: Diagnosis | None = None

    @property
    def hint(self) -> str:
        """What the sender should do: change what we see that is wrong, or else what the outcome says."""
        return self.diagnosis.advice if self.diagnosis else self.outcome.hint

    @property
    def told(self) -> str:
        """What the log and the kept row say: the detail, and what to change."""
        return told(self.detail, self.diagnosis)


class Committed(NamedTuple):
    """A batch that is durable: its verdicts in the order of its entries, and the rows inserted in each table."""

    verdicts: list[Verdict]
    rows: dict[str, int]


class Ledger(Protocol):
    """The writing side of an engine. Used by one thread; every call may block. All raise StorageError."""

    def open(self) -> None:
        """Connect, and refuse what could not keep a promise: the 200s of a ledger that opened are receipts."""

    def commit(self, entries: Sequence[Entry], /) -> Committed:
        """Store MAX_BATCH entries, or a batch of all or none, and return their verdicts, in order, once durable.

        New conversions go in first, in a transaction of their own; what is left (retries, conflicts, rejections,
        probes) follows in a second one. After a StorageError nothing may be acknowledged; its `rows` are durable for
        sure, others may be.
        """

    def close(self) -> None:
        """Let go of the database."""


class Winner(NamedTuple):
    """The stored row that holds a key."""

    request_id: str
    value: str
    value_micros: int
    currency: str | None


class Amount(Protocol):
    """What has a value and perhaps a currency."""

    @property
    def value(self) -> str:
        """Return the value as it was sent."""

    @property
    def currency(self) -> str | None:
        """Return the currency's code."""


class Table(NamedTuple):
    """A table that postbacks go into, and the columns that are written, in the order of its rows."""

    name: str
    columns: tuple[str, ...]


KEY = ("sender", "is_test", "click_id", "goal", "transaction_id")
CONVERSION = Table(
    "conversion", (*KEY, "value", "value_micros", "currency", "params", "received_at", "request_id", "door")
)
DUPLICATE = Table("duplicate", (*KEY, "received_at", "request_id", "door"))
REJECTED = Table(
    "rejected_postback", ("received_at", "door", "sender", "outcome", "detail", "click_id", "raw", "request_id")
)

STORED = Verdict(Outcome.STORED)
REPEATED = Verdict(Outcome.DUPLICATE)


def judge(entry: Entry, winners: Mapping[Key, Winner] | None) -> Verdict:
    """Return the verdict on an entry; `winners` is who holds each key now, None when every postback was new."""
    match entry:
        case Postback():
            return STORED if winners is None else _judge_repeated(entry, winners)
        case Rejection():
            return Verdict(entry.outcome, entry.detail, entry.diagnosis)
        case Probe():
            return STORED
        case _:
            assert_never(entry)


def _judge_repeated(postback: Postback, winners: Mapping[Key, Winner]) -> Verdict:
    winner = winners.get(postback.key)
    if winner is None:
        raise StorageError("a conversion was not inserted, and none holds its key: it was deleted meanwhile", VANISHED)
    if winner.request_id == postback.raw.request_id:
        return STORED  # its own row: just inserted, or by an ambiguous commit that is being retried
    return judge_against(winner, postback)


def judge_against(winner: Winner, postback: Postback) -> Verdict:
    """Return what a postback is whose key is stored already: the first value stands (law 3)."""
    if (winner.value_micros, winner.currency) == (postback.value_micros, postback.currency):
        return REPEATED
    return Verdict(Outcome.CONFLICT, f"stored {amount(winner)}, received {amount(postback)}")


def amount(holder: Amount) -> str:
    """Return value and currency for a person, as they were sent."""
    return f"{holder.value} {holder.currency or '(no currency)'}"


class Leftovers(NamedTuple):
    """What the second transaction of a batch writes; `probed_at` is the last probe's moment, None without one."""

    duplicates: list[Row]
    rejected: list[Row]
    probed_at: Scalar


def leftovers(entries: Sequence[Entry], verdicts: Sequence[Verdict], moment: Moment) -> Leftovers:
    """Return the rows for everything that is not a new conversion, in order."""
    duplicates: list[Row] = []
    rejected: list[Row] = []
    probed_at: Scalar = None
    for entry, verdict in zip(entries, verdicts, strict=True):
        if isinstance(entry, Probe):
            probed_at = moment(entry.at)
        elif verdict.outcome.kept:
            rejected.append(_rejected_row(entry, verdict, moment))
        elif verdict is REPEATED and isinstance(entry, Postback):
            duplicates.append(_duplicate_row(entry, moment))
    return Leftovers(duplicates, rejected, probed_at)


def conversion_row(postback: Postback, moment: Moment) -> Row:
    """Return the values of CONVERSION's columns."""
    raw = postback.raw
    params = orjson.dumps(postback.params).decode() if postback.params else "{}"
    return (*postback[1:9], params, moment(raw.received_at), raw.request_id, raw.door)


def _duplicate_row(postback: Postback, moment: Moment) -> Row:
    return (*postback.key, moment(postback.raw.received_at), postback.raw.request_id, postback.raw.door)


def _rejected_row(entry: Postback | Rejection, verdict: Verdict, moment: Moment) -> Row:
    raw = entry.raw
    return (
        moment(raw.received_at),
        raw.door,
        entry.sender,
        verdict.outcome.value,
        verdict.told,
        entry.click_id,
        raw.as_sent(),
        raw.request_id,
    )
