"""Owns the mistakes in what an import accepts: of each, how many rows have it, and the first row as an example."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from service.core.outcome import Diagnosis, Family, Mistake
from service.core.verdict import Understood, Verdict


class Mistaken(NamedTuple):
    """How many accepted rows have a mistake, the number of the first, and what to change in that one."""

    rows: int
    first_row: int
    hint: str


def mistake_of(one: Understood, verdict: Verdict) -> Diagnosis | None:
    """Return the mistake of a row that was accepted in spite of it. A rejected row's is told with its verdict."""
    return one.diagnosis if one.diagnosis and verdict.outcome.family is Family.ACCEPTED else None


class Mistakes:
    """The mistakes of the rows so far."""

    def __init__(self) -> None:
        self._found: dict[Mistake, Mistaken] = {}

    def add(self, number: int, mistake: Mistake, hint: str) -> None:
        """Count the mistake of one row."""
        before = self._found.get(mistake) or Mistaken(0, number, hint)
        self._found[mistake] = before._replace(rows=before.rows + 1)

    def add_all(self, first: int, understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        """Count those of rows that follow each other; `first` is the number of the first row."""
        for number, one, verdict in zip(count(first), understood, verdicts, strict=False):
            if one.diagnosis and (found := mistake_of(one, verdict)):
                self.add(number, found.mistake, found.advice)

    def clear(self) -> None:
        """Forget all."""
        self._found.clear()

    def summed(self) -> Mapping[str, Mistaken]:
        """Return them by their names, the most frequent first."""
        ordered = sorted(self._found.items(), key=lambda item: -item[1].rows)
        return {mistake.value: found for mistake, found in ordered}
