"""Owns what every engine's ledger shares: entries in, one verdict for each out, and how an entry becomes a row.

An engine (sqlite.py, postgres.py) owns its statements and its connection; what a row holds and what a repeated key
means is decided here, once, so that all engines agree.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple, Protocol, runtime_checkable

import orjson

from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback, Rejection
from service.core.verdict import REPEATED, Change, Entry, Probe, Verdict, Winner

MAX_BATCH = 1024  # entries: far more would keep those who come meanwhile waiting, and gain little

Scalar = str | int | bytes | datetime | None
Row = tuple[Scalar, ...]
Moment = Callable[[datetime], Scalar]  # how an engine wants a UTC datetime in a row


class Manner(Enum):
    """How entries are written together: what is known of them, and what is asked for."""

    NEW = auto()
    AGAIN = auto()  # an earlier commit may have judged them: what is recorded of them is their verdict
    DRAINED = auto()  # the same, and they were answered `spooled`
    ATOMIC = auto()  # all of them are accepted, or none is stored


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


@runtime_checkable
class AsyncLedger(Ledger, Protocol):
    """A ledger that can also commit on an event loop."""

    async def commit_async(self, entries: Sequence[Entry], /) -> Committed:
        """Commit as `commit` does, and let the loop serve others meanwhile."""


class Leftovers(NamedTuple):
    """What the second transaction of a batch writes; `probed_at` is the last probe's moment, None without one."""

    changes: list[Row]
    duplicates: list[Row]
    rejected: list[Row]
    probed_at: Scalar


def leftovers(
    entries: Sequence[Entry],
    verdicts: Sequence[Verdict],
    winners: Mapping[ConversionKey, Winner] | None,
    moment: Moment,
) -> Leftovers:
    """Return the rows for everything that is not a new conversion, in order; `winners` as they are after judging."""
    changes: list[Row] = []
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
        elif verdict.outcome is Outcome.UPDATED and winners and isinstance(entry, Postback):
            change = winners[entry.key].change_by(entry.raw.request_id)
            changes += [_change_row(entry, change, moment)] if change else []
    return Leftovers(changes, duplicates, rejected, probed_at)


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


def _rejected_row(entry: Postback | Rejection, verdict: Verdict, moment: Moment) -> Row:
    raw = entry.raw
    return (
        moment(raw.received_at),
        raw.door,
        entry.sender,
        verdict.outcome.value,
        verdict.explanation,
        entry.click_id,
        raw.as_sent(),
        raw.request_id,
    )
