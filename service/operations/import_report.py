"""Owns the report of an import: what became of each row, and by that where an import that was interrupted goes on.

A row is durable in the database before it is in the report. A report that was cut off anywhere is read as far as it is
whole and in order; the rest is written again.
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
from typing import Literal, Self

import orjson

from service.core.outcome import Outcome
from service.core.postback import RawPostback
from service.core.verdict import STORED, Understood, Verdict
from service.operations.errors import Refused
from service.operations.row_output import csv_records, harmless

ReportForm = Literal["csv", "ndjson"]

COLUMNS = ("row", "outcome", "detail", "hint", "click_id", "request_id")
_HEAD = {"csv": csv_records([COLUMNS]), "ndjson": b""}
_FIRST = {**_HEAD, "ndjson": b'{"row":1,"outcome":"'}  # how it begins, and other files do not
_OUTCOME: Callable[[Sequence[object]], Outcome] = itemgetter(1)


class NoReport(Refused):
    """There is another file in the report's place, or none can be made; the text says so, for a person."""


class Report:
    """The report at a path, in the form `csv` or `ndjson`; a context manager. All raise NoReport or OSError.

    `rows` says how many rows stand in it, and `tally` what became of those.
    """

    def __init__(self, path: Path, form: ReportForm, request_id: str) -> None:
        self.path = path
        self.rows = 0
        self.tally: Counter[Outcome] = Counter()
        self._form = form
        self._request_id = request_id
        self._head = _HEAD[form]

    def __enter__(self) -> Self:
        """Open it, alone, and read what stands in it."""
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
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
        safe = harmless if self._form == "csv" else _exact
        rows = [
            (
                number,
                verdict.outcome,
                verdict.detail and safe(verdict.detail),
                "" if verdict is STORED else verdict.hint,
                safe(getattr(one, "click_id", None)),
                raw.request_id,
            )
            for number, raw, one, verdict in zip(count(self.rows + 1), raws, understood, verdicts, strict=False)
        ]
        self._file.write(csv_records(rows) if self._form == "csv" else _ndjson(rows))
        self._file.flush()
        self.tally.update(map(_OUTCOME, rows))
        self.rows += len(rows)

    def start_over(self) -> None:
        """Forget all."""
        self._cut(len(self._head))
        self.rows = 0
        self.tally.clear()

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
        self._read()
        self._cut(self._end)
        self._file.flush()

    def _read(self) -> None:
        """Read as far as it is whole and in order; `_end` is where that ends."""
        self._end = len(self._head)
        with suppress(ValueError, KeyError, AttributeError, csv.Error):  # torn
            for values in self._values():
                number, word, *_, request_id = values
                if not str(request_id).startswith(f"{self._request_id}-"):
                    raise NoReport(
                        f"{self.path} is the report of another import (another file, or other options): "
                        "remove it, or name another with --report"
                    )
                if (str(number), str(request_id)) != (str(self.rows + 1), f"{self._request_id}-{self.rows + 1}"):
                    return
                self.tally[Outcome[str(word).upper()]] += 1
                self.rows += 1
                self._end = self._read_to

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


def _exact(cell: object) -> object:
    return cell


def _ndjson(rows: Sequence[Sequence[object]]) -> bytes:
    objects = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    return b"".join(orjson.dumps(it, option=orjson.OPT_APPEND_NEWLINE) for it in objects)
