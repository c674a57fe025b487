"""Owns the report of an import: what was not stored or has a mistake, or each row, and where one goes on.

A row is durable in the database before it is in the report. Where not every row is in it, its last line says how many
were read, and what became of all of them; that line is written again after each group. A report that was cut off
anywhere is read as far as it is whole and in order; the rest is written again.
"""

import csv
import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import orjson

from service.core.harmless import csv_head, csv_rows, visible_json
from service.core.outcome import Family, Mistake, Outcome
from service.core.postback import RawPostback
from service.core.verdict import STORED, Understood, Verdict
from service.operations.errors import Refused
from service.operations.importing.mistakes import Mistakes, mistake_of

ReportForm = Literal["csv", "ndjson"]

COLUMNS = ("row", "outcome", "detail", "hint", "click_id", "request_id")
_HEAD = {"csv": csv_head(COLUMNS), "ndjson": b""}
_FIRST = {**_HEAD, "ndjson": b'{"row":'}  # how it begins, and other files do not
_OUTCOME: Callable[[Sequence[object]], Outcome] = itemgetter(1)
_COUNTED = "read"  # in place of an outcome, on the last line: how many rows were read
ACCEPTED = "accepted"  # in place of an outcome: all that a dry run can say of a row that would be stored
_DRY_RUN = "dry-run"  # in place of a request_id: nothing is stored under one
_UNTOLD = frozenset({Outcome.STORED, Outcome.UPDATED})  # unless the row has a mistake
_MISTAKES = frozenset(Mistake)


class NoReport(Refused):
    """There is another file in the report's place, or none can be made; the text says so, for a person."""


class ReportPlace(NamedTuple):
    """Where a report is written and in which form; of `every` row, or only of what was not stored or has a mistake."""

    path: Path
    form: ReportForm
    every: bool = False


class Report:
    """The report of an import; a context manager. All raise NoReport or OSError.

    `rows` says how many rows are done, `tally` what became of those, and `mistakes` what is wrong in those that were
    accepted. `every` is as the report was begun. `foreseen`: it is that of a dry run, which an import takes for none,
    and which takes the place of no import's.
    """

    def __init__(self, place: ReportPlace, request_id: str, *, foreseen: bool = False) -> None:
        self.rows = 0
        self.tally: Counter[Outcome] = Counter()
        self.mistakes = Mistakes()
        self.path, form, self.every = place
        self._form = form
        self._request_id = request_id
        self._foreseen = foreseen
        self._head = _HEAD[form]

    def __enter__(self) -> Self:
        """Open it, alone, and read what stands in it."""
        if os.path.lexists(self.path) and (self.path.is_symlink() or not self.path.is_file()):
            raise NoReport(f"{self.path} is a link or no file: name a file with --report")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self.path, flags, 0o600), "r+b")
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._file.close()

    def add(self, raws: Sequence[RawPostback], understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        """Write what became of the rows that follow."""
        rows = [
            (
                number,
                self._word(verdict.outcome),
                *_words(one, verdict),
                getattr(one, "click_id", None),
                _DRY_RUN if self._foreseen else raw.request_id,
            )
            for number, raw, one, verdict in zip(count(self.rows + 1), raws, understood, verdicts, strict=False)
            if self.every or one.diagnosis or verdict.outcome not in _UNTOLD
        ]
        self.tally.update(verdict.outcome for verdict in verdicts)
        self.mistakes.add_all(self.rows + 1, understood, verdicts)
        self.rows += len(verdicts)
        self._write(rows)

    def start_over(self) -> None:
        """Forget all."""
        self.rows = 0
        self.tally.clear()
        self.mistakes.clear()
        self._end = len(self._head)
        self._cut(self._end)
        self._write([])

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows, and in place of the last line the one that counts them all. It never becomes shorter."""
        told = self._encoded(rows)
        last = b"" if self.every else self._encoded([self._count()])
        self._file.seek(self._end)
        self._file.write(told + last)
        self._file.flush()
        self._end += len(told)

    def _encoded(self, rows: Sequence[Sequence[object]]) -> bytes:
        return csv_rows(rows) if self._form == "csv" else _ndjson(rows)

    def _count(self) -> tuple[object, ...]:
        counted: Counter[str] = Counter()
        for outcome, number in self.tally.items():
            counted[self._word(outcome)] += number
        tally = ", ".join(f"{number} {word}" for word, number in counted.items())
        return self.rows, _COUNTED, tally, "", None, _DRY_RUN if self._foreseen else self._request_id

    def _word(self, outcome: Outcome) -> str:
        return ACCEPTED if self._foreseen and outcome.family is Family.ACCEPTED else outcome.value

    def _begin(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoReport(f"another import is writing {self.path}") from None
        first = _FIRST[self._form]
        head = self._file.read(len(first))
        if not first.startswith(head):
            raise NoReport(f"{self.path} is no report of an import: name another file with --report")
        if head != first:  # empty, or torn
            self._cut(0)
            self._file.write(self._head)
        self._file.seek(len(self._head))
        counted, in_order, plain = self._read()
        if self._foreseen and (counted or self.rows):
            raise NoReport(f"{self.path} is the report of an import: name another file with --report")
        if not in_order or (counted and self.every):
            self.start_over()
            return
        if not counted and plain:
            self.every = True  # it was begun so, and goes on so
        self._cut(self._read_to if counted else self._end)
        self._write([])

    def _read(self) -> tuple[bool, bool, bool]:
        """Read as far as it is whole.

        Say whether a line counts all rows, whether each row is told or counted, and whether a row is told that only a
        report of every row tells.
        """
        self._end = len(self._head)
        in_order, plain = True, False
        with suppress(ValueError, KeyError, AttributeError, csv.Error):  # torn
            for values in self._values():
                number, word, detail, hint, *_, request_id = map(str, values)
                if request_id == _DRY_RUN:
                    return False, False, False
                if request_id.partition("-")[0] != self._request_id:
                    raise NoReport(
                        f"{self.path} is the report of another import (another file, or other options): "
                        "remove it, or name another with --report"
                    )
                if word == _COUNTED:
                    self.tally = Counter(dict(map(_counted, detail.split(", ") if detail else ())))
                    self.rows = int(number)
                    return True, True, plain
                in_order = in_order and (number, request_id) == (str(self.rows + 1), f"{self._request_id}-{number}")
                outcome = Outcome[word.upper()]
                mistake = _mistake_in(outcome, detail)
                self.tally[outcome] += 1
                if mistake:
                    self.mistakes.add(int(number), mistake, hint)
                plain = plain or (outcome in _UNTOLD and not mistake)
                self.rows += 1
                self._end = self._read_to
        return False, in_order, plain

    def _values(self) -> Iterator[Sequence[object]]:
        """Yield the values of each row, of any that has its end; `_read_to` is where that is."""
        self._read_to = self._file.tell()
        if self._form == "csv":
            yield from csv.reader((line.decode() for line in self._lines()), strict=True)
        else:
            for line in self._lines():
                yield list(orjson.loads(line).values())

    def _lines(self) -> Iterator[bytes]:
        for line in self._file:
            if not line.endswith(b"\n"):
                return
            self._read_to += len(line)
            yield line

    def _cut(self, end: int) -> None:
        self._file.seek(end)
        self._file.truncate()


def _words(one: Understood, verdict: Verdict) -> tuple[str, str]:
    """Return the detail and the hint of a row. A mistake's name comes first in the detail of an accepted row."""
    if mistake := mistake_of(one, verdict):
        return ": ".join(filter(None, (mistake.mistake, verdict.detail))), mistake.advice
    return verdict.detail, "" if verdict is STORED else verdict.hint


def _mistake_in(outcome: Outcome, detail: str) -> Mistake | None:
    """Read back the mistake of an accepted row."""
    name = detail.partition(":")[0]
    return Mistake(name) if name in _MISTAKES and outcome.family is Family.ACCEPTED else None


def _counted(words: str) -> tuple[Outcome, int]:
    """Read back how many rows an outcome has."""
    number, _, word = words.partition(" ")
    return Outcome[word.upper()], int(number)


def _ndjson(rows: Sequence[Sequence[object]]) -> bytes:
    objects = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    return visible_json(b"".join(orjson.dumps(it, option=orjson.OPT_APPEND_NEWLINE) for it in objects))
