"""Owns understanding a spreadsheet by its beginning: its encoding, its delimiter, its header and its amounts."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from service.core.harmless import as_it_was
from service.core.rows import csv_records
from service.core.sender import NumberFormat
from service.operations.files.encoding import UTF8, decoded, encoding_of
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.files.spreadsheet.amounts import Numbers, numbers_of, respelled
from service.operations.files.spreadsheet.dates import is_local
from service.operations.files.spreadsheet.reading import DELIMITERS, EDITION, Naming, Options, Reading, Roles

SAMPLE_BYTES = 2**20
_SEP = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)  # with what a program adds to make cells of it
_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_HIGHEST = 50  # lines above a header, at most
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx, .ods; .xls


class _Header(NamedTuple):
    """A header that was found: so many lines are above it."""

    above: int
    delimiter: str
    names: tuple[str, ...]
    headless: bool = False


def understand(file: RowFile, naming: Naming, options: Options, own: NumberFormat, edition: int = EDITION) -> Reading:
    """Return how a file is to be read. `own` is how its sender usually writes amounts. Raises UnreadableFile.

    An `edition` before the present one is that of a version that may have begun to import the file.
    """
    beginning = file.beginning(SAMPLE_BYTES)
    if beginning.startswith(_WORKBOOKS):
        raise UnreadableFile(f"{file.path} is a workbook: save its sheet as CSV")
    encoding = _encoding(file, beginning, options.encoding)
    text = decoded(beginning, encoding)
    returns = "\r" in text and "\n" not in text
    lines = text.split("\r" if returns else "\n")
    if len(beginning) >= SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # it may go on
    header = _header(lines, naming, options.delimiter, file)
    roles = naming.roles(header.names)
    assert roles is not None  # noqa: S101 - it was found by them
    rows = [*_rows(lines[header.above :], header)]
    reading = Reading(
        encoding=encoding,
        delimiter=header.delimiter,
        above=header.above,
        names=header.names,
        headless=header.headless,
        dates=options.dates if roles.moment is not None else None,
        columns=options.columns,
        foreign=edition > 1 and naming.unsaid.roles(header.names) is None,
        returns=returns,
        edition=edition,
    )
    amounts = _cells(rows, *roles.values)
    numbers = _numbers(amounts, options, own, is_ours=reading.is_ours and not reading.foreign)
    _assert_dates(rows, roles, options)
    return _with_amounts(reading, roles, amounts, numbers)


def _with_amounts(reading: Reading, roles: Roles, amounts: Iterable[str], numbers: Numbers) -> Reading:
    signs = roles.currency is None and any(respelled(amount, numbers, "point").currency for amount in amounts)
    return replace(reading, numbers=numbers.format, sure=numbers.sure, signs=signs)


def _encoding(file: RowFile, beginning: bytes, said: str | None) -> str:
    """Return a file's encoding: the one that is said, else what it looks like.

    It is UTF-8 if that reads the same text, so that a file as our doors take it stays one.
    """
    looks = encoding_of(beginning)
    if said is None or (looks == UTF8 != said and file.text_digest(said) == file.text_digest(UTF8)):
        return looks
    return said


def split_record(record: str, delimiter: str) -> list[str]:
    """Return the cells of a record. Raises csv.Error."""
    line = record.removesuffix("\r")
    if '"' not in line and "\r" not in line:
        return line.split(delimiter)
    return next(csv.reader([record], delimiter=delimiter, strict=True), [])


def cell_text(cell: str, edition: int = EDITION) -> str:
    """Return what a cell says, without what keeps a program from calculating with it: `'-1`, `="0123"`."""
    said = as_it_was(cell)
    text = _TEXT.fullmatch(said.strip()) if edition > 1 and '="' in said else None
    return text[1] if text else said


def _header(lines: Sequence[str], naming: Naming, delimiter: str | None, file: RowFile) -> _Header:
    """Find the header: in the highest line that is one, under the delimiter that makes it one."""
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    said = lines[first].rstrip("\r")
    if told := _SEP.fullmatch(said):  # Excel's own line
        delimiter, first = delimiter or told[1], first + 1
    delimiters = [delimiter] if delimiter else [*DELIMITERS]
    for above, line in islice(enumerate(lines), first, first + _HIGHEST):
        for one in delimiters if line.strip() else ():
            names = _names(lines[above:], one)
            if naming.roles(names) is not None:
                return _Header(above, one, names)
    return _without_names(lines[first:], first, naming, delimiters, file)


def _without_names(
    lines: Sequence[str], first: int, naming: Naming, delimiters: Sequence[str], file: RowFile
) -> _Header:
    """Return how a list of click ids alone is read, if it is one. Raises UnreadableFile."""
    alone = all(not any(mark in line for mark in (*delimiters, "\t", ";")) for line in lines)
    if alone and naming.alone is not None and any(line.strip() for line in lines):
        return _Header(first, ",", (naming.alone,), headless=True)
    likeliest = max((_names([line], one) for line in lines[:_HIGHEST] for one in delimiters), key=_named, default=())
    raise UnreadableFile(naming.missing(likeliest) if any(likeliest) else f"{file.path} has no header of CSV")


def _named(names: Sequence[str]) -> int:
    return sum(map(bool, names))


def _names(lines: Sequence[str], delimiter: str) -> tuple[str, ...]:
    """Return the cells of the first record, without the spaces around them."""
    records = csv_records((line.encode(UTF8, "surrogateescape") for line in lines), lambda _: None, delimiter=delimiter)
    record = next(records, b"").decode(UTF8, "backslashreplace")
    try:
        cells = split_record(record, delimiter)
    except csv.Error:
        return (record,)
    return tuple(cell_text(cell.strip().strip("\ufeff")) for cell in cells)


def _rows(lines: Sequence[str], header: _Header) -> Iterator[list[str]]:
    """Yield the cells of the rows below the header, of those that can be read."""
    sent = (line.encode(UTF8, "surrogateescape") for line in lines)
    records = csv_records(sent, lambda _: None, delimiter=header.delimiter)
    for record in islice(records, int(not header.headless), None):
        try:
            cells = split_record(record.decode(UTF8), header.delimiter)
        except (csv.Error, UnicodeDecodeError):
            continue
        if len(cells) >= len(header.names):
            yield cells


def _cells(rows: Iterable[Sequence[str]], *columns: int) -> list[str]:
    return [cell for row in rows for column in columns if (cell := cell_text(row[column]).strip())]


def _numbers(amounts: Iterable[str], options: Options, own: NumberFormat, *, is_ours: bool) -> Numbers:
    if options.numbers:
        return Numbers(options.numbers, sure=True)
    try:
        return numbers_of(amounts, own, is_ours=is_ours)
    except ValueError as error:
        raise UnreadableFile(
            f"{error} may be thousands or a fraction, and no other amount tells: say --numbers point if its point is "
            "the decimal mark, --numbers comma if its comma is"
        ) from None


def _assert_dates(rows: Iterable[Sequence[str]], roles: Roles, options: Options) -> None:
    if options.dates or roles.moment is None:
        return
    local = next((cell for cell in _cells(rows, roles.moment) if is_local(cell)), None)
    if local is not None:
        column = roles.names[roles.moment]
        raise UnreadableFile(
            f"{column} is {local[:40]!r}, and nobody can tell its day from its month: say --dates dmy, mdy or ymd"
        )
