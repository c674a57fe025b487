"""Owns the errors of operations: why something cannot be done, in sentences that any surface may show a person."""

from collections.abc import Iterable
from typing import NamedTuple


class Mistake(NamedTuple):
    """A value that cannot be taken: which one, as it was written, and what is wrong with it."""

    field: str
    value: str
    sentence: str


class OperationError(Exception):
    """An operation that did nothing; `str()` is the sentence for a person. Each subclass says whose turn it is."""


class Refused(OperationError):  # noqa: N818 - a decision, not a failure
    """It was asked for in a way, or at a time, that does not allow it."""


class WrongValues(Refused):
    """Some of the values that were given are wrong; `mistakes` has each of them."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{field} {value}: {sentence}" for field, value, sentence in self.mistakes))


class BeingServed(Refused):
    """A running service is the writer of the SQLite file, and no second one may be."""


class NotFound(OperationError):  # noqa: N818 - the answer, not a failure
    """There is nothing of that name or id."""


class Ended(OperationError):  # noqa: N818 - the answer, not a failure
    """It exists, but its time is over: a key that is expired or revoked."""


def refuse_wrong(mistakes: Iterable[Mistake]) -> None:
    """Raise WrongValues if there is any mistake."""
    if found := tuple(mistakes):
        raise WrongValues(found)
