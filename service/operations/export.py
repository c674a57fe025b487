"""Owns exports: what is stored, or what was not accepted, as CSV, NDJSON or Parquet, however much it is."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

import orjson

from service.core.moment import utc
from service.operations import quarantine
from service.operations.files.row_output import Form, Stream, write_rows
from service.operations.files.row_shape import Members, Types
from service.storage.database import Database
from service.storage.reads.conversions import Stored, Wanted
from service.storage.reads.quarantine import Chosen


def export_conversions(
    database: Database, wanted: Wanted, form: Form, target: Path | Stream, *, by_time: bool = False
) -> int:
    """Write conversions in the order of their keys, or as they came; return how many are from after now.

    A clock was wrong when those came, and came right. Raises Refused and StorageError.
    """
    conversions = database.conversions()
    pages = ([_members(row) for row in page] for page in conversions.pages(wanted))
    write_rows(form, stored_types(), _by_time(pages) if by_time else pages, target)
    return conversions.count(wanted.after(datetime.now(UTC)))


def _by_time(pages: Iterable[list[Members]]) -> Iterator[list[Members]]:
    """Yield the rows of all pages in the order in which they came: sorted in a temporary file, as large as they are."""
    with closing(sqlite3.connect("", isolation_level=None)) as rows:  # a file that is gone when it is closed
        rows.executescript(_ROWS)
        for page in pages:
            rows.executemany(_PUT, ((row["received_at"], row["request_id"], orjson.dumps(row)) for row in page))
        rows.execute("COMMIT")
        in_order = rows.execute(_IN_ORDER)
        while some := in_order.fetchmany(_SORTED_ROWS):
            yield [orjson.loads(row) for (row,) in some]


_SORTED_ROWS = 1_000  # written at a time: each has 64 KiB of params at most
_ROWS = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;
    CREATE TABLE row (received_at TEXT, request_id TEXT, members BLOB);
    BEGIN;
"""
_PUT = "INSERT INTO row VALUES (?, ?, ?)"
_IN_ORDER = "SELECT members FROM row ORDER BY received_at, request_id"


def export_rejected(database: Database, chosen: Chosen, form: Form, target: Path | Stream) -> None:
    """Write what was not accepted, newest first. Raises Refused and StorageError."""
    pages = ((quarantine.members(row) for row in page) for page in database.quarantine().pages(chosen))
    write_rows(form, quarantine.COLUMNS, pages, target)


def stored_types() -> Types:
    """Return the columns of a stored conversion and their types, as `Stored` declares them."""
    return get_type_hints(Stored)


def _members(row: Stored) -> Members:
    moments = {"changed_at": row.changed_at, "drained_at": row.drained_at, "corrected_at": row.corrected_at}
    later = {name: moment and utc(moment) for name, moment in moments.items()}
    return {**row._asdict(), "received_at": utc(row.received_at), **later}
