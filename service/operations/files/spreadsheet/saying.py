"""Owns what a person says of a spreadsheet, in words: checked, before a file is read."""

from collections.abc import Iterator, Sequence

from service.core.sender import NumberFormat
from service.operations.errors import Mistake, refuse_wrong
from service.operations.files.encoding import known_encoding
from service.operations.files.spreadsheet.dates import DateOrder
from service.operations.files.spreadsheet.reading import Options

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}


def options_of(
    delimiter: str | None = None,
    encoding: str | None = None,
    numbers: NumberFormat | None = None,
    dates: DateOrder | None = None,
    columns: Sequence[str] = (),
) -> Options:
    """Return what was said; `columns` are pairs `theirs=ours`. Raises WrongValues."""
    refuse_wrong(_mistakes(delimiter, encoding, columns))
    return Options(
        delimiter=None if delimiter is None else _DELIMITERS.get(delimiter, delimiter),
        encoding=None if encoding is None else known_encoding(encoding),
        numbers=numbers,
        dates=dates,
        columns=dict(map(_pair, columns)),
    )


def _pair(column: str) -> tuple[str, str]:
    theirs, _, ours = column.rpartition("=")
    return theirs.strip(), ours.strip()


def _mistakes(delimiter: str | None, encoding: str | None, columns: Sequence[str]) -> Iterator[Mistake]:
    if delimiter is not None and (len(_DELIMITERS.get(delimiter, delimiter)) != 1 or delimiter in '"\r\n'):
        yield Mistake("delimiter", delimiter, "one character, or comma, semicolon, tab, pipe")
    if encoding is not None:
        try:
            known_encoding(encoding)
        except LookupError:
            yield Mistake(
                "encoding", encoding, "no encoding is called that; some are utf-8, utf-16, cp1252, cp1250, cp1251"
            )
    for column in columns:
        if not all(_pair(column)):
            yield Mistake("columns", column, "write THEIRS=OURS, such as 'Click ID=click_id'")
