"""Owns exports: what is stored, or what was not accepted, as CSV, NDJSON or Parquet, however much it is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, get_type_hints

from service.core.moment import utc
from service.operations import quarantine
from service.operations.row_output import Form, write_rows
from service.operations.row_shape import Types
from service.storage.database import Database
from service.storage.reads.conversions import Stored, Wanted
from service.storage.reads.quarantine import Chosen


def export_conversions(database: Database, wanted: Wanted, form: Form, target: Path | BinaryIO) -> int:
    """Write conversions by sender, click id, goal and transaction id; return how many of later ones are from after now.

    A clock was wrong when those came, and came right. Raises Refused and StorageError.
    """
    conversions = database.conversions()
    write_rows(form, stored_types(), ((_members(row) for row in page) for page in conversions.pages(wanted)), target)
    return conversions.count(wanted.after(datetime.now(UTC)))


def export_rejected(database: Database, chosen: Chosen, form: Form, target: Path | BinaryIO) -> None:
    """Write what was not accepted, newest first. Raises Refused and StorageError."""
    pages = ((quarantine.members(row) for row in page) for page in database.quarantine().pages(chosen))
    write_rows(form, quarantine.COLUMNS, pages, target)


def stored_types() -> Types:
    """Return the columns of a stored conversion and their types, as `Stored` declares them."""
    return get_type_hints(Stored)


def _members(row: Stored) -> dict[str, object]:
    moments = {"changed_at": row.changed_at, "drained_at": row.drained_at, "corrected_at": row.corrected_at}
    later = {name: moment and utc(moment) for name, moment in moments.items()}
    return {**row._asdict(), "received_at": utc(row.received_at), **later}
