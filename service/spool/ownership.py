"""Owns whose a journal is: it bears the name of the database that its entries are for, once known, and the place of it.

The place is what POSTBACK_DATABASE_URL says without user and password. It alone decides while one side has no name.
"""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from service.core.unavailable import ErrorKind, StorageBroken

SCHEMA = """
CREATE TABLE IF NOT EXISTS database_identity (id INTEGER PRIMARY KEY, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS database_place (id INTEGER PRIMARY KEY, place TEXT NOT NULL);
"""


class Owner(NamedTuple):
    """The database that entries are for. A journal of the version before 0007 says nothing of it."""

    name: str | None = None
    place: str | None = None

    def is_for(self, ours: "Owner") -> bool:
        """Say whether what a journal says is true of our database, as far as that is known."""
        if self.name and ours.name:
            return self.name == ours.name
        return self == Owner() or self.place == ours.place

    def __str__(self) -> str:
        """Return it for a message."""
        name = f"{self.name[:8]}…" if self.name else "never reached"
        return f"{name}, at {self.place or 'a place not noted'}"


def owner_of(connection: sqlite3.Connection) -> Owner:
    """Return what a journal says. One that an earlier version made may have no table for it."""
    return Owner(_only(connection, "database_identity", "identity"), _only(connection, "database_place", "place"))


def _only(connection: sqlite3.Connection, table: str, column: str) -> str | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return None
    found = connection.execute(f"SELECT {column} FROM {table}").fetchone()  # noqa: S608 - our own names
    return str(found[0]) if found else None


def note(connection: sqlite3.Connection, before: Owner, now: Owner) -> None:
    """Note for which database the entries are. A kill in between leaves no name beside another database's place."""
    if before.name != now.name:
        connection.execute("DELETE FROM database_identity")
    connection.execute("INSERT OR REPLACE INTO database_place VALUES (1, ?)", (now.place,))
    if now.name:
        connection.execute("INSERT OR REPLACE INTO database_identity VALUES (1, ?)", (now.name,))


def anothers(path: Path, theirs: Owner, ours: Owner) -> StorageBroken:
    """Return the error that a journal is for another database than the settings', and what to do."""
    return StorageBroken(
        f"POSTBACK_SPOOL_DIR: {path} is for another database ({theirs}) than POSTBACK_DATABASE_URL ({ours}); if the "
        "URL was changed, start once with the old one until nothing waits, or if both lead to the same database, when "
        f"it can be reached; else move the whole {path.parent} into a SPOOL_DIR of its own, and start a service of its "
        "database there (docs/spool.md)",
        ErrorKind.ANOTHER_DATABASE,
    )
