"""Owns the tables of a journal's file, and how an entry is written in a row and read from it."""

import sqlite3
from typing import NamedTuple

from service.spool import ownership
from service.spool.encoding import VERSION, Kept, encode, outcome_of
from service.storage.sqlite.statements import Repeated

_COLUMNS = ("version", "outcome", "request_id", "click_id", "received_at", "entry", "appended_at")
_WAITING = ("seq", "version", "outcome", "request_id", "received_at", "entry", "appended_at")  # of Waiting
INSERTION = Repeated(  # seq is made here, and is never known
    f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ",  # noqa: S608 - our own names
    f"({', '.join('?' * len(_COLUMNS))})",
    " ON CONFLICT DO NOTHING",
)
OLDEST = (
    f"SELECT {', '.join(_WAITING)} FROM entry WHERE request_id NOT IN (SELECT value FROM json_each(?)) "  # noqa: S608 - our own names
    "AND (click_id IS NULL OR click_id NOT IN (SELECT value FROM json_each(?))) ORDER BY seq LIMIT ?"
)

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL,
    click_id TEXT,
    received_at TEXT NOT NULL,
    entry TEXT NOT NULL,
    appended_at INTEGER
);
CREATE INDEX IF NOT EXISTS ix_entry_click_id ON entry (click_id);
CREATE TABLE IF NOT EXISTS write_probe (id INTEGER PRIMARY KEY, probed_at TEXT NOT NULL);
{ownership.SCHEMA}
"""

_ADDITION = "ALTER TABLE entry ADD COLUMN appended_at INTEGER"  # version 0006 has none, and lets it be NULL

Row = tuple[int, str, str, str | None, str, str, int]  # _COLUMNS


class Waiting(NamedTuple):
    """One row of the journal: its place in the order, the entry as it is encoded, and when it was appended."""

    seq: int
    version: int
    outcome: str
    request_id: str
    received_at: str
    text: str
    appended_at: int | None = None


def make_tables(connection: sqlite3.Connection) -> None:
    """Make what is not there yet."""
    connection.executescript(_SCHEMA)
    if not connection.execute("SELECT 1 FROM pragma_table_info('entry') WHERE name = 'appended_at'").fetchone():
        connection.execute(_ADDITION)


def row_of(entry: Kept, appended_at: int) -> Row:
    """Return the row of an entry that is appended at this moment of the host's clock (Unix nanoseconds)."""
    raw, received_at = entry.raw, entry.raw.received_at.isoformat()
    return VERSION, outcome_of(entry), raw.request_id, entry.click_id, received_at, encode(entry), appended_at
