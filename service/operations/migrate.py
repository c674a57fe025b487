"""Owns moving a database's schema forward and back, saying where it is, and moving all rows to another database."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from service.operations.errors import Refused
from service.storage.copying import Compared
from service.storage.copying import Progress as CopyProgress
from service.storage.copying import copy as copy_rows
from service.storage.database import Database
from service.storage.location import Location, PostgresServer, SqliteFile, location_of
from service.storage.migrations import Status, Version
from service.storage.postgres.database import PostgresDatabase
from service.storage.sqlite.database import SqliteDatabase


@dataclass(frozen=True, slots=True)
class Schema:
    """Where a database's schema is; `refusal` says why this code cannot work on it, None if it can.

    `current` is empty before the first version; `oldest_code` is the oldest that may still run on it.
    """

    current: str
    newest: str
    oldest_code: str
    pending: Sequence[Version]
    refusal: str | None

    @classmethod
    def of(cls, status: Status) -> Self:
        """Return what storage says of it."""
        return cls(status.current, status.newest, status.floor, status.pending, status.refusal)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "current": self.current,
            "newest": self.newest,
            "oldest_code": self.oldest_code,
            "usable": self.refusal is None,
            "pending": [asdict(version) for version in self.pending],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both databases after a copy, table by table."""

    tables: Sequence[Compared]

    @property
    def equal(self) -> bool:
        """Whether both hold the same."""
        return all(table.equal for table in self.tables)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {"equal": self.equal, "tables": [{**asdict(it), "equal": it.equal} for it in self.tables]}


def up(database: Database, tell: Callable[[str], None]) -> Schema:
    """Run what is pending; `tell` hears of each version before it runs. Raises StorageError."""
    return Schema.of(database.migrations().up(tell=tell))


def down(database: Database, target: str) -> Schema:
    """Go back to a version; what only newer ones store is deleted. Raises StorageError."""
    return Schema.of(database.migrations().down(target))


def status(database: Database) -> Schema:
    """Say where the schema is, and change nothing: where there is no file, none is made. Raises StorageError."""
    with database.audit():
        return Schema.of(database.migrations().status())


def copy(source_url: str, target_url: str, progress: CopyProgress) -> Comparison:
    """Move everything from a SQLite file into an empty PostgreSQL database, and compare both at the end.

    An interrupted copy goes on where it was. The target is migrated; the source is only read, and must not be being
    served. `progress` hears of a table, how many of its rows are copied, and how many there are. Raises Refused and
    StorageError.
    """
    file, server = _location(source_url), _location(target_url)
    if not isinstance(file, SqliteFile) or not isinstance(server, PostgresServer):
        raise Refused("copy goes from a SQLite file to a PostgreSQL server: sqlite:///… postgresql://…")
    if refusal := status(SqliteDatabase(file)).refusal:
        raise Refused(f"{file.path}: {refusal}; run `migrate up` there first")
    PostgresDatabase(server).migrations().up()
    return Comparison(copy_rows(file, server, progress))


def _location(url: str) -> Location:
    try:
        return location_of(url)
    except ValueError as error:
        raise Refused(str(error)) from error
