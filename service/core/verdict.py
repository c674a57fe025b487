"""Owns the verdict on an entry: stored, or, when its key is taken, a retry, a new status, or a contradiction.

The first value of a key stands (law 3). A status may change, and each change is a row of its own; so is each
correction of how such a row was read. What a conversion is now follows from its rows and is stored nowhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from service.core.fields.statuses import plain_word
from service.core.lifecycle import allowed_next, may_follow
from service.core.outcome import Diagnosis, Mistake, Outcome, explanation
from service.core.parameters import claimed
from service.core.postback import NO_STATUS, ConversionKey, Params, Postback, Rejection
from service.core.trade_names import meaning_of
from service.core.white_space import trimmed


class Verdict(NamedTuple):
    """What became of one entry; `detail` says why it was not simply stored, `diagnosis` what to change.

    `retry_after` is in seconds, where another try is worth it; `advice` is what to do, if not as the outcome says.
    `sender` is whose it was, where we failed before there was an entry that says so.
    """

    outcome: Outcome
    detail: str = ""
    diagnosis: Diagnosis | None = None
    retry_after: int = 1
    advice: str = ""
    sender: str | None = None

    @property
    def hint(self) -> str:
        """What the sender should do: change what we see that is wrong, or else what the outcome says."""
        return self.diagnosis.advice if self.diagnosis else self.advice or self.outcome.hint

    @property
    def explanation(self) -> str:
        """The text for the log and the kept row: the detail, and what to change."""
        return explanation(self.detail, self.diagnosis)


WORTHLESS = "no value was sent: counts as 0"


class Amount(Protocol):
    """What has a value and perhaps a currency."""

    @property
    def value(self) -> str:
        """Return the value as it was sent."""

    @property
    def currency(self) -> str | None:
        """Return the currency's code."""


class Statement(Amount, Protocol):
    """What a sender said of a conversion at one moment."""

    @property
    def value_micros(self) -> int:
        """Return the value in millionths."""

    @property
    def conversion_status(self) -> str | None:
        """Return the status, None if none was sent."""


class Change(NamedTuple):
    """A later status of a conversion, the columns of CHANGED in their order; `number` counts its changes from 1."""

    number: int
    request_id: str
    conversion_status: str
    value: str
    value_micros: int
    currency: str | None


class Correction(NamedTuple):
    """How a row of a history is read instead: `number` 0 is the first, others are changes; `revision` counts from 1."""

    number: int
    revision: int
    conversion_status: str | None
    value: str
    value_micros: int
    currency: str | None


class Winner(NamedTuple):
    """The stored row that holds a key, its changes and their corrections, each in their order.

    `params` are the parameters in which no field was found when it came.
    """

    request_id: str
    value: str
    value_micros: int
    currency: str | None
    conversion_status: str | None = None
    params: Params = MappingProxyType({})
    changes: tuple[Change, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @property
    def history(self) -> "tuple[Statement, ...]":
        """Return the row and its changes as they are read now."""
        last = {correction.number: correction for correction in self.corrections}
        rows: list[_Said] = [self, *self.changes]
        return tuple(last.get(number, row) for number, row in enumerate(rows))

    @property
    def statuses(self) -> list[str | None]:
        """Return the statuses that the conversion has had, in their order; the last is the one that it has now."""
        return [said.conversion_status for said in self.history]

    @property
    def worth(self) -> "Statement":
        """Return the last statement that has a value: it says what the conversion is worth now."""
        first, *changes = self.history
        return next((said for said in reversed(changes) if said.value), first)

    def change_by(self, request_id: str) -> Change | None:
        """Return the change that a postback made."""
        return next((change for change in self.changes if change.request_id == request_id), None)

    def statements(self) -> "Iterator[Statement]":
        """Yield all that was said of the conversion, in order, as it was read at first and as it is read now.

        A change without a value leaves the value as it was.
        """
        said: _Said = self
        rows: list[_Said] = [self, *self.changes]
        for number, row in enumerate(rows):
            readings: list[_Said] = [row, *(one for one in self.corrections if one.number == number)]
            for reading in readings:
                if reading.value or not number:
                    said = reading
                yield reading._replace(value=said.value, value_micros=said.value_micros, currency=said.currency)

    def changed_by(self, postback: Postback) -> "Winner":
        """Return what the conversion is after one more change."""
        status = str(postback.conversion_status)
        amount = (postback.value, postback.value_micros, postback.currency)
        change = Change(len(self.changes) + 1, postback.raw.request_id, status, *amount)
        return self._replace(changes=(*self.changes, change))

    @staticmethod
    def first(postback: Postback) -> "Winner":
        """Return what a conversion is that a postback made."""
        amount = (postback.value, postback.value_micros, postback.currency)
        return Winner(postback.raw.request_id, *amount, postback.conversion_status, postback.params)

    def said_otherwise(self, postback: Postback) -> bool:
        """Tell whether its value was sent with it already, under the same name, which was not known for one then."""
        if self.value or not postback.value:
            return False
        then = {name for name, sent in self.params.items() if sent == postback.value and name not in postback.params}
        return bool(then) and any(name in then and sent == postback.value for name, sent in claimed(postback.raw))


_Said = Winner | Change | Correction
STORED = Verdict(Outcome.STORED)
REPEATED = Verdict(Outcome.DUPLICATE)
ERASED = Verdict(
    Outcome.STORAGE_UNAVAILABLE, "its click id was erased after it arrived, so it was not stored: send it again"
)


def repeats(first: Statement, postback: Postback) -> bool:
    """Tell whether a postback repeats an earlier statement: the same status and amount, each if it was sent."""
    if postback.conversion_status not in (None, first.conversion_status):
        return False
    return not postback.value or (first.value_micros, first.currency) == (postback.value_micros, postback.currency)


def judge_against(winner: Winner, postback: Postback) -> Verdict:
    """Return the verdict on a postback whose key is stored already."""
    status = postback.conversion_status
    if winner.change_by(postback.raw.request_id):  # its own, of an ambiguous commit that is being retried
        return _updated(winner, postback)
    meant = postback._replace(value="") if winner.said_otherwise(postback) else postback
    if postback.status_parameter:
        return _judge_word(winner, meant, postback.status_parameter)
    if any(repeats(said, meant) for said in winner.statements()):
        return _repeated(winner, postback)
    statuses = winner.statuses
    if status is None or status == statuses[-1]:
        return Verdict(Outcome.CONFLICT, f"stored {amount(winner.worth)}, received {amount(postback)}")
    if may_follow(statuses, status):
        return _updated(winner, postback)
    return Verdict(
        Outcome.ILLEGAL_TRANSITION,
        f"{statuses[-1]} cannot become {status}; what may follow is {allowed_next(statuses)}",
    )


# A name with white space around it was not read; a text was.
_UNREAD = frozenset({Mistake.UNREAD_BODY, Mistake.WRONG_CASE, Mistake.BROKEN_SEPARATOR, Mistake.HTML_ESCAPED})


def _repeated(winner: Winner, postback: Postback) -> Verdict:
    """Return the verdict on what repeats the conversion as far as it was understood: the rest may be a refund."""
    odd = postback.diagnosis
    if odd is None or (postback.params and postback.params == winner.params):
        return REPEATED
    other = odd.mistake is Mistake.OTHER_NAME and _other_statuses(postback.params) != _other_statuses(winner.params)
    blank = odd.mistake is Mistake.WHITESPACE and any(trimmed(name) != name for name in postback.params)
    if odd.mistake not in _UNREAD and not other and not blank:
        return REPEATED
    return Verdict(Outcome.CONFLICT, f"stored {amount(winner.worth)}; received the same, and what was not read", odd)


def _other_statuses(params: Params) -> dict[str, object]:
    """Return what was sent under names that others use for a status."""
    return {name: sent for name, sent in params.items() if meaning_of(name) == "conversion_status"}


def _judge_word(winner: Winner, postback: Postback, parameter: str) -> Verdict:
    """Judge a status in a word that its sender has not set up: unless it was sent at first, nobody knows its meaning.

    It may be a mistyped refund, which must not pass for a repetition of the sale.
    """
    word = postback.params[parameter]
    first: list[_Said] = [winner, *(one for one in winner.corrections if not one.number)]
    same = plain_word(str(winner.params.get(parameter, ""))) == plain_word(str(word))
    if same and any(repeats(said, postback) for said in first):
        return REPEATED
    detail = f"{NO_STATUS}{str(word)[:80]!a} is no status of {postback.sender}'s"
    return Verdict(Outcome.INVALID_STATUS, detail, postback.diagnosis)


def _updated(winner: Winner, postback: Postback) -> Verdict:
    statuses, own = winner.statuses, winner.change_by(postback.raw.request_id)
    before = statuses[own.number - 1] if own else statuses[-1]
    with_value = f", value {amount(postback)}" if postback.value else ""
    return Verdict(Outcome.UPDATED, f"{before or 'no status'} → {postback.conversion_status}{with_value}")


def amount(holder: Amount) -> str:
    """Return value and currency for a person, as they were sent."""
    return f"{holder.value} {holder.currency or '(no currency)'}" if holder.value else "no value"


def worth(holder: Amount) -> str:
    """Return for a person what a conversion is worth."""
    return f"value {amount(holder)}" if holder.value else WORTHLESS


@dataclass(frozen=True, slots=True)
class Probe:
    """An entry that stores nothing but proves that a commit works."""

    at: datetime


Entry = Postback | Rejection | Probe
Understood = Postback | Rejection | Verdict  # of what arrived; a verdict: we failed to understand it


def with_history(
    winners: dict[ConversionKey, Winner], rows: Iterable[tuple[ConversionKey, Change | Correction]]
) -> None:
    """Add to each winner its changes and their corrections, which are given in their order."""
    for key, row in rows:
        winner = winners[key]
        if isinstance(row, Change):
            winners[key] = winner._replace(changes=(*winner.changes, row))
        else:
            winners[key] = winner._replace(corrections=(*winner.corrections, row))


def disputed(postbacks: Sequence[Postback], winners: Mapping[ConversionKey, Winner]) -> list[ConversionKey]:
    """Return the keys of postbacks that do not simply repeat the stored row: judging them needs the history."""
    found = []
    for postback in postbacks:
        winner = winners.get(postback.key)
        if winner and winner.request_id != postback.raw.request_id and not repeats(winner, postback):
            found.append(postback.key)
    return list(dict.fromkeys(found))
