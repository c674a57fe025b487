"""Owns how a conversion's history is read: its changes and their corrections as rows of one shape, and back."""

from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.sql import ColumnCollection

from service.core.verdict import Change, Correction, Winner
from service.storage.schema.registry import CHANGE, CORRECTION, StoredTable

FIRST = Winner._fields[:6]  # the columns of CONVERSION that are the first that was said of it, and its parameters
_SAID = ("conversion_status", "value", "value_micros", "currency")


def _said(columns: "ColumnCollection[str, ColumnElement[object]]") -> list[ColumnElement[object]]:
    return [columns[name] for name in _SAID]


_CHANGE, _CORRECTION = CHANGE.table.c, CORRECTION.table.c
Columns = tuple[ColumnElement[object], ...]
# Of each table what `later_row` takes: number, revision (0: the change itself), request_id, and what it says.
LATER: tuple[tuple[StoredTable, Columns], ...] = (
    (CHANGE, (_CHANGE.number, literal_column("0").label("revision"), _CHANGE.request_id, *_said(_CHANGE))),
    (CORRECTION, (_CORRECTION.number, _CORRECTION.revision, literal_column("''"), *_said(_CORRECTION))),
)


def later_row(  # noqa: PLR0913, PLR0917 - the columns
    number: int, revision: int, request_id: str, status: str, value: str, micros: int, currency: str | None
) -> Change | Correction:
    """Return what a row of LATER says."""
    if revision:
        return Correction(number, revision, status, value, micros, currency)
    return Change(number, request_id, status, value, micros, currency)
