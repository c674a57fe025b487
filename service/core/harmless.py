"""Owns text that does no harm where it is shown: at a terminal, in JSON, in a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import orjson

_ODD = re.compile(r"[^ -~]")
_ODD_IN_JSON = re.compile(r"[^ -~\n]")  # a string has no raw line end, so each is between two members or lines
DELETE = 0x7F
_UNSEEN = frozenset(  # letters and marks by their category, but they take no room or leave it empty
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def visible(text: str | bytes) -> str:
    r"""Return one line of text for a terminal: what cannot be seen, or drives a terminal, is an escape (`\x1b`).

    These are controls, line ends, controls of the direction of writing and of its format, odd spaces, and halves of
    surrogate pairs; of bytes also what is no UTF-8. Other letters stay as they are.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return _ODD.sub(_visible, text)


def visible_json(text: bytes) -> bytes:
    r"""Return JSON of the same value, where in strings what `visible` escapes is `\u…`; line ends between stay."""
    if text.isascii() and DELETE not in text:
        return text
    return _ODD_IN_JSON.sub(_visible_in_json, text.decode()).encode()


def _visible(found: re.Match[str]) -> str:
    return _shown(found[0])


def _visible_in_json(found: re.Match[str]) -> str:
    return _shown_in_json(found[0])


@lru_cache(maxsize=4096)  # a text has the same letters again and again
def _shown(letter: str) -> str:
    return letter if _is_seen(letter) else letter.encode("unicode_escape").decode("ascii")


@lru_cache(maxsize=4096)
def _shown_in_json(letter: str) -> str:
    return letter if _is_seen(letter) else json.dumps(letter).strip('"').replace("\x7f", r"\u007f")


def _is_seen(letter: str) -> bool:
    return letter.isprintable() and letter not in _UNSEEN


# A spreadsheet calculates what begins with one of these; it may look past what stands before (OWASP: CSV injection).
# One that splits at other separators than the comma sees more beginnings, for it honours quotes only where a cell of
# its own begins: those behind a semicolon, a tab, a pipe or a line end.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_BEFORE = "\\s'\"\\x00-\\x1f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_SEPARATORS = ";|\t\r\n"
_NOT_APART = f"(?:(?![{_SEPARATORS}])[{_BEFORE}])"
_BEGINNING = re.compile(  # only there is anything called: cells are long, and full of dashes
    f"(\\A[{_BEFORE}{_SEPARATORS}]*+|(?<![{_BEFORE}{_SEPARATORS}]){_NOT_APART}*+[{_SEPARATORS}][{_BEFORE}{_SEPARATORS}]*+)"
    f"(?=[{_FORMULA}])"
)
_CONTROL = re.compile(r"('*)(?=[\t\r\n])")  # as its first letter some take it for nothing, some for a separator
_AMOUNT = re.compile(r"-?[0-9]+([.,][0-9]+)?", re.ASCII)


class _Number(str):
    """A cell that the writer of CSV leaves without quotes, because it has a value as a number."""

    __slots__ = ()

    def __float__(self) -> float:
        """Say that it is a number; the writer does not ask which one."""
        raise NotImplementedError


_NOTHING = _Number()


def csv_rows(rows: Iterable[Iterable[object]], amounts: frozenset[int] = frozenset()) -> bytes:
    """Return rows as CSV (RFC 4180): each text is quoted, and no spreadsheet takes it for a formula.

    `amounts` are the places of cells that were sent as amounts: what is a number there stays one. None is an empty cell
    without quotes, an object is JSON.
    """
    page = io.StringIO(newline="")
    written = csv.writer(page, quoting=csv.QUOTE_NONNUMERIC)
    written.writerows([_cell(cell, is_amount=place in amounts) for place, cell in enumerate(row)] for row in rows)
    return page.getvalue().encode()


def csv_head(names: Iterable[str]) -> bytes:
    """Return the names of columns, which are ours, as a header of CSV."""
    return f"{','.join(names)}\r\n".encode()


def _cell(cell: object, *, is_amount: bool) -> object:
    if isinstance(cell, str):
        return _Number(cell) if is_amount and _AMOUNT.fullmatch(cell) else no_formula(cell)
    if cell is None:
        return _NOTHING
    return no_formula(orjson.dumps(cell).decode()) if isinstance(cell, Mapping) else cell


def no_formula(cell: str) -> str:
    """Return a cell with an apostrophe before each letter that would begin a formula."""
    calmed = _BEGINNING.sub(r"\1'", cell)
    return f"'{calmed}" if _CONTROL.match(calmed) else calmed


def as_it_was(cell: str) -> str:
    """Return a cell without the apostrophes of `no_formula`; any other is left as it is."""
    if (control := _CONTROL.match(cell)) and control[1]:
        cell = cell[1:]
    return _BEGINNING.sub(_without_apostrophe, cell)


def _without_apostrophe(found: re.Match[str]) -> str:
    return found[1].removesuffix("'")
