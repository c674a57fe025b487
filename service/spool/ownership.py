"""Owns whose a journal is: it bears the name of the database that its entries are for, once that is known."""

import sqlite3
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageBroken

SCHEMA = "CREATE TABLE IF NOT EXISTS database_identity (id INTEGER PRIMARY KEY, identity TEXT NOT NULL);"


def name_of(connection: sqlite3.Connection) -> str | None:
    """Return the name of the database that a journal's entries are for, None while it has none.

    One that the version before made has no table for it.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'database_identity'").fetchone():
        return None
    found = connection.execute("SELECT identity FROM database_identity").fetchone()
    return str(found[0]) if found else None


def note_name(connection: sqlite3.Connection, identity: str) -> None:
    """Note for which database the entries are."""
    connection.execute("INSERT OR REPLACE INTO database_identity VALUES (1, ?)", (identity,))


def anothers(path: Path, name: str, identity: str) -> StorageBroken:
    """Return the error that a journal is for the database of one name, and not for the settings', and what to do."""
    return StorageBroken(
        f"POSTBACK_SPOOL_DIR: {path} is for another database ({name[:8]}…) than POSTBACK_DATABASE_URL ({identity[:8]}…)"
        f"; if the URL was changed, start once with the old one until nothing waits; else move the whole {path.parent} "
        "into a SPOOL_DIR of its own, and start a service of its database there (docs/spool.md)",
        ErrorKind.ANOTHER_DATABASE,
    )
