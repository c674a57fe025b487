"""Owns judging a batch: its entries in order, each against what is stored and against those before it.

What is recorded of an entry is its verdict: it is never judged again.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple, assert_never

from service.core.keeping import NotKept
from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback, RawPostback, Rejection
from service.core.verdict import (
    ERASED,
    REPEATED,
    STORED,
    Change,
    Entry,
    Probe,
    Understood,
    Verdict,
    Winner,
    judge_against,
)


class Manner(Enum):
    """How entries are written together: what is known of them, and what is asked for."""

    NEW = auto()
    AGAIN = auto()  # an earlier commit may have judged them: what is recorded of them is their verdict
    DRAINED = auto()  # the same, and they were answered `spooled`
    ATOMIC = auto()  # all of them are accepted, or none is stored


IN_DOUBT = frozenset({Manner.AGAIN, Manner.DRAINED})


class Part(NamedTuple):
    """The entries of a batch from place `first` up to `end`, which are not simply new."""

    first: int
    end: int
    manner: Manner


class Refusal(NamedTuple):
    """Why entries that are all stored or none are not stored: the row that is not accepted, from 1, and its verdict."""

    number: int
    verdict: Verdict


class AllRefused(Exception):  # noqa: N818 - what happened to them
    """None of the entries was stored, because one was not accepted."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"row {refusal.number}: {refusal.verdict.detail}")
        self.refusal = refusal


class Known(NamedTuple):
    """What a batch is judged against.

    `winners` says who holds each key now; None: every postback is stored, because its key was free. `recorded` are
    verdicts by request id, of what has a row but no key of its own. `erased` are the request ids of what arrived before
    its click id was erased.
    """

    winners: dict[ConversionKey, Winner] | None
    recorded: Mapping[str, Verdict] = MappingProxyType({})
    erased: Container[str] = frozenset()


@dataclass(slots=True)
class Judged:
    """The verdicts of a batch in order, and the rows that follow from them.

    `found` are the request ids of entries whose row is there already, `unstored` those of entries that have none.
    `refusals` are by the first place of the entries that are refused together. `unkept` says of request ids why what
    they sent is counted, and not kept.
    """

    known: Known
    verdicts: list[Verdict] = field(default_factory=list)
    new: list[Postback] = field(default_factory=list)
    changes: list[tuple[Postback, Change]] = field(default_factory=list)
    duplicates: list[Postback] = field(default_factory=list)
    kept: list[tuple[Postback | Rejection, Verdict]] = field(default_factory=list)
    probed_at: datetime | None = None
    found: set[str] = field(default_factory=set)
    unstored: set[str] = field(default_factory=set)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    unkept: dict[str, NotKept] = field(default_factory=dict)

    def judge(self, entries: Iterable[Entry]) -> None:
        """Judge the next entries."""
        for entry in entries:
            match entry:
                case Postback():
                    verdict = self._judge_postback(entry)
                case Rejection():
                    verdict = self._judge_rejection(entry)
                case Probe():
                    verdict, self.probed_at = STORED, entry.at
                case _:
                    assert_never(entry)
            self.verdicts.append(verdict)

    def judge_together(self, entries: Sequence[Entry]) -> None:
        """Judge entries of which all are stored or none."""
        first = len(self.verdicts)
        alone = Judged(self.known._replace(winners=dict(self.known.winners or {})))
        alone.judge(entries)
        refused = (Refusal(row, one) for row, one in enumerate(alone.verdicts, 1) if not _accepts(one))
        if refusal := next(refused, None):
            self.refusals[first] = refusal
            self.verdicts += [refusal.verdict] * len(entries)
            self.unstored.update(entry.raw.request_id for entry in entries if not isinstance(entry, Probe))
            return
        self.known = alone.known
        self.verdicts += alone.verdicts
        self.new += alone.new
        self.changes += alone.changes
        self.duplicates += alone.duplicates
        self.kept += alone.kept
        self.found |= alone.found

    def _judge_postback(self, postback: Postback) -> Verdict:
        winners = self.known.winners
        if winners is None:
            return STORED
        request_id = postback.raw.request_id
        if recorded := self.known.recorded.get(request_id):
            self.found.add(request_id)
            return recorded
        if request_id in self.known.erased:
            self.unstored.add(request_id)
            return ERASED
        winner = winners.get(postback.key)
        if winner is None:
            winners[postback.key] = Winner.first(postback)
            self.new.append(postback)
            return STORED
        if winner.request_id == request_id:
            self.found.add(request_id)
            return STORED
        verdict = judge_against(winner, postback)
        if verdict is REPEATED:
            self.duplicates.append(postback)
        elif verdict.outcome.kept:
            self.kept.append((postback, verdict))
        elif winner.change_by(request_id):
            self.found.add(request_id)
        else:
            winners[postback.key] = changed = winner.changed_by(postback)
            self.changes.append((postback, changed.changes[-1]))
        return verdict

    def _judge_rejection(self, entry: Rejection) -> Verdict:
        request_id = entry.raw.request_id
        verdict = Verdict(entry.outcome, entry.detail, entry.diagnosis, entry.retry_after, entry.hint)
        if recorded := self.known.recorded.get(request_id):
            self.found.add(request_id)
            return verdict if recorded.outcome is entry.outcome else recorded  # a row does not tell all of it
        if request_id in self.known.erased:
            self.unstored.add(request_id)
            return ERASED
        if verdict.outcome.kept:
            self.kept.append((entry, verdict))
        return verdict


def judge_all(entries: Sequence[Entry], known: Known, parts: Iterable[Part] = ()) -> Judged:
    """Judge a batch. `known.winners` is changed: it says who holds each key after it."""
    judged = Judged(known)
    done = 0
    for first, end, manner in parts:
        if manner is Manner.ATOMIC:
            judged.judge(entries[done:first])
            judged.judge_together(entries[first:end])
            done = end
    judged.judge(entries[done:] if done else entries)
    return judged


def _accepts(verdict: Verdict) -> bool:
    """Say whether an entry may be stored with all the others: a conflict is, for its sender is told `Success`."""
    return verdict is not ERASED and verdict.outcome not in _REFUSING


_REFUSING = frozenset({Outcome.ILLEGAL_TRANSITION, Outcome.INVALID_STATUS})


def refused_whole(raw: RawPostback, rows: Sequence[Understood], refusal: Refusal) -> Rejection | Verdict:
    """Return what a batch of all or none becomes because one of its rows is not accepted."""
    number, verdict = refusal
    row = rows[number - 1]
    detail = f"row {number}, so none of them was stored: {verdict.detail}"
    if verdict.outcome.our_fault or isinstance(row, Verdict):
        return verdict._replace(detail=detail)
    return Rejection(raw, row.sender, verdict.outcome, detail, row.click_id, is_test=row.is_test)
