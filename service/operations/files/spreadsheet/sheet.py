"""Owns the rows of a spreadsheet as our doors take them: each is CSV by itself, with its header.

What was respelled (an amount, a date) stays as it was sent, in a column beside it whose name ends in `_as_sent`.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, filterfalse, islice
from typing import NamedTuple

from service.core.csv_fault import csv_fault
from service.core.decoding import as_text
from service.core.sender import NumberFormat
from service.core.undecoded import without_surrogates
from service.operations.files.row_file import Advance, RowFile
from service.operations.files.spreadsheet.amounts import respelled
from service.operations.files.spreadsheet.dates import iso_of
from service.operations.files.spreadsheet.reading import Reading, Roles
from service.operations.files.spreadsheet.sniffing import cell_text, split_record
from service.operations.files.spreadsheet.totals import is_total, is_unnamed, may_be_total

_LAST = 20  # rows at the end of a file, among which totals are looked for
AS_SENT = "_as_sent"
_ODD = re.compile(
    rb"[ \"$('\x80-\xff]|-(?:,|\r?$)"
)  # without one of these no amount in a row of ours is to be respelled
_QUOTED = re.compile(r'["\r\n]')


class Record(NamedTuple):
    """A row: its cells as our doors take them, and those that are added to them, by name.

    `as_is` are its bytes, where our doors can take or refuse these. `fault` says why it is no row of this file; its
    cells are then what can be seen of it.
    """

    cells: list[str]
    added: Mapping[str, str] = {}
    as_is: bytes = b""
    fault: str = ""


class Sheet:
    """A spreadsheet that is read in one way. `target` is how amounts are to be written.

    After its rows were read, `left_out` says how many of them were totals, or stood below those.
    """

    def __init__(self, file: RowFile, reading: Reading, roles: Roles, target: NumberFormat) -> None:
        self.left_out = 0
        self.header = _line(roles.names)
        self._file = file
        self._reading = reading
        self._roles = roles
        self._target = target
        self._delimiter = reading.delimiter.encode()
        currency = () if roles.currency is None else (roles.currency,)
        self._places = tuple(dict.fromkeys((roles.click_id, *roles.values, *currency, *roles.labels)))
        respelled_often = reading.signs or reading.dates is not None
        self._plain = reading.is_ours and reading.numbers == target == "point" and not respelled_often

    @contextmanager
    def rows(self, advance: Advance) -> Iterator[Iterator[bytes]]:
        """Open the file to read its rows, each with a header before it. Raises UnreadableFile."""
        with self._raws(advance) as raws:
            head = self.header + b"\n"
            if self._plain:
                yield (self._written(self._read(raw)) if self._is_odd(raw) else head + raw for raw in raws)
            else:
                yield map(self._written, filter(self._counts, map(self._read, raws)))

    @contextmanager
    def records(self, advance: Advance) -> Iterator[Iterator[Record]]:
        """Open the file to read its rows, cell by cell. Raises UnreadableFile."""
        with self._raws(advance) as raws:
            yield filter(self._counts, map(self._read, raws))

    def _is_odd(self, raw: bytes) -> bool:
        """Tell whether a row may have to be respelled, which most have not: this costs a tenth of reading it."""
        cells = raw.split(b",") if _ODD.search(raw) else []
        if len(cells) != len(self._roles.names):
            return bool(cells)
        return any(_ODD.search(cells[place]) for place in self._places)

    def _counts(self, record: Record) -> bool:
        """Tell whether a record is a row: one of empty cells is none, but versions before counted it among commas."""
        return self._reading.is_ours or bool(record.fault) or any(record.cells)

    @contextmanager
    def _raws(self, advance: Advance) -> Iterator[Iterator[bytes]]:
        how = self._reading
        self.left_out = 0
        with self._file.rows(advance, how.layout) as raws:
            rows = self._without_totals(islice(raws, int(not how.headless), None))
            yield rows if how.edition == 1 else filterfalse(self._is_sum, rows)

    def _is_sum(self, raw: bytes) -> bool:
        """Tell whether a row between the others is their sum, and count it."""
        click_id = self._roles.click_id
        if not may_be_total(raw, self._delimiter, click_id) or not is_total(self._read(raw).cells, click_id):
            return False
        self.left_out += 1
        return True

    def _without_totals(self, raws: Iterator[bytes]) -> Iterator[bytes]:
        """Yield all but the totals at the top, those at the end, and the empty rows and lines of text around these."""
        names, click_id = len(self._roles.names), self._roles.click_id
        above, raw = 0, next(raws, None)
        while raw is not None and is_total(self._read(raw).cells, click_id):
            above, raw = above + 1, next(raws, None)
        if raw is not None:
            raws = chain([raw], raws)
        last = deque(islice(raws, _LAST))
        for raw in raws:
            yield last.popleft()
            last.append(raw)
        records = [self._read(raw) for raw in last]
        empty = [not one.fault and not any(one.cells) for one in records]
        total = [is_total(one.cells, click_id) for one in records]
        behind = [is_unnamed(one.cells, click_id, names) for one in records]
        end = end_of_rows(empty, total, behind)
        self.left_out += above + len(records) - end - sum(empty[end:])
        yield from islice(last, end)

    def _read(self, raw: bytes) -> Record:
        delimiter, columns, is_ours = self._reading.delimiter, len(self._roles.names), self._reading.is_ours
        text, damage = as_text(raw)
        try:
            cells = split_record(text, delimiter)
        except csv.Error as error:
            return Record(
                text.split(delimiter),
                {},
                raw if is_ours else _broken(raw),
                f"it is not one CSV record: {csv_fault(error)}",
            )
        while len(cells) > columns and not cells[-1] and not is_ours:
            del cells[-1]
        if len(cells) != columns:
            as_is = raw if is_ours else _line(cells)
            return Record(cells, {}, as_is, f"{len(cells)} cells under a header of {columns}")
        if damage:
            kept = [without_surrogates(cell) for cell in cells]
            if any(kept[place] != cells[place] for place in self._places):
                return Record(kept, {}, raw, f"a letter that its encoding does not have: it {damage}")
            cells = kept
        sent = cells.copy()
        added = self._respell(cells)
        return Record(cells, added, raw if is_ours and cells == sent and not added else b"")

    def _respell(self, cells: list[str]) -> dict[str, str]:
        """Write cells as our doors take them, and return what is added to them."""
        roles, added = self._roles, dict[str, str]()
        for place in self._places:
            cells[place] = cell_text(cells[place], self._reading.edition)
        cells[roles.click_id] = cells[roles.click_id].strip()
        if roles.currency is not None:
            cells[roles.currency] = cells[roles.currency].strip()
        counted = next((place for place in roles.values if cells[place].strip()), None)
        for place in roles.values:
            text = self._amount(cells, cells[place].strip(), added if place == counted else {})
            self._put(place, text, cells, added)
        if roles.moment is not None and self._reading.dates:
            self._put(roles.moment, iso_of(cells[roles.moment].strip(), self._reading.dates), cells, added)
        return added

    def _put(self, column: int, text: str, cells: list[str], added: dict[str, str]) -> None:
        if text != cells[column].strip():
            added[self._roles.names[column] + AS_SENT] = cells[column]
        cells[column] = text

    def _amount(self, cells: list[str], text: str, added: dict[str, str]) -> str:
        shown = respelled(text, self._reading.how_numbers, self._target)
        column = self._roles.currency
        named = "" if column is None else cells[column]
        if named and shown.currencies and named.upper() not in shown.currencies:
            return f"{text} (its currency is said to be {named})"
        if shown.currency and column is None:
            added[self._roles.added] = shown.currency
        elif shown.currency and column is not None:
            cells[column] = named or shown.currency
        return shown.text

    def _written(self, record: Record) -> bytes:
        if record.as_is:
            return self.header + b"\n" + record.as_is
        header = _line((*self._roles.names, *record.added)) if record.added else self.header
        return header + b"\n" + _line((*record.cells, *record.added.values()))


def _line(cells: Sequence[str]) -> bytes:
    """Return cells as a record of CSV, without its end."""
    line = ",".join(cells)
    if not line or line.count(",") >= len(cells) or _QUOTED.search(line):
        record = io.StringIO(newline="")
        csv.writer(record).writerow(cells)
        return record.getvalue().removesuffix("\r\n").encode()
    return line.encode()


def _broken(raw: bytes) -> bytes:
    """Return a record with broken quotes as one whose quotes are broken under any delimiter."""
    return b'"' + raw.replace(b'"', b'""')


def end_of_rows(empty: Sequence[bool], total: Sequence[bool], behind: Sequence[bool]) -> int:
    """Return where the rows end: before totals at the end, which only what has no click id may follow."""
    end = len(empty)
    start = end
    while start and (empty[start - 1] or total[start - 1] or behind[start - 1]):
        start -= 1
    end = next((place for place in range(start, end) if total[place]), end)
    while end and empty[end - 1]:
        end -= 1
    return end
