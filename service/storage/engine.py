"""Owns the way from a database URL to a place (which engine, where), and the errors that every engine raises."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

NO_DATABASE = "NO_DATABASE"  # the kind of StorageError that says: nothing is there yet


class StorageError(Exception):
    """A storage operation failed and may be tried again.

    `kind` is a class of errors fit for a label (SQLITE_FULL); `rows` says, by table, what is durable all the same.
    """

    def __init__(self, message: str, kind: str, rows: Mapping[str, int] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.kind = kind
        self.rows = rows


class StorageBroken(StorageError):  # noqa: N818 - the state, not another error
    """Storage is in an unknown state (an I/O error, a moved file): this process must stop, and never retry on it."""


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file on this machine, with one writing process."""

    path: Path


Place = SqliteFile


def place_of(url: str) -> Place:
    """Return what a database URL stands for. Raises ValueError, which never repeats the URL: it may hold a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("not a database URL; it looks like sqlite:///data/postback.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise ValueError("only sqlite:///path is supported in this version")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("an in-memory database keeps nothing: name a file, as in sqlite:///data/postback.db")
    return SqliteFile(Path(parsed.database))
