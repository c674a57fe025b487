"""Owns the way to what is registered: to read it without a database file too, to change it also beside the service."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.core.presets import PRESETS
from service.core.program import PROGRAM
from service.core.sender import Sender
from service.core.unavailable import ErrorKind, StorageError
from service.operations.errors import Refused
from service.operations.register.names import nobody
from service.storage.database import Database
from service.storage.senders import Rows, Senders

__all__ = ["Rows", "Senders", "registered", "registry", "writes_like"]


@contextmanager
def registry(database: Database) -> Iterator[Senders]:
    """Give what is registered, to be changed. Raises Refused while the schema is not this code's, and StorageError.

    Where nobody serves a SQLite file this process is its one writer meanwhile: the file is made and migrated. Where
    somebody does, a change is one transaction beside, on a connection that never checkpoints.
    """
    with _opened(database):
        if refusal := database.migrations().status().refusal:
            raise Refused(f"{database.name}: {refusal}; run `{PROGRAM} migrate up`, on SQLite restart the service")
        yield database.senders()


@contextmanager
def _opened(database: Database) -> Iterator[None]:
    if database.shared:
        yield
        return
    ledger = database.ledger()
    try:
        ledger.open()
    except StorageError as error:
        if error.kind != ErrorKind.LOCKED:
            raise
        yield
        return
    try:
        yield
    finally:
        ledger.close()


def registered(database: Database, *, must_exist: bool = False) -> Rows:
    """Return what is registered. Without a database file that is nothing, unless it must exist. Raises StorageError."""
    try:
        return database.senders().rows()
    except StorageError as error:
        if must_exist or error.kind != ErrorKind.NO_DATABASE:
            raise
        return Rows()


def writes_like(rows: Rows, name: str | None, default: Sender) -> Sender:
    """Return the registered sender of a name, or else the preset; without a name the one that goes by the default's.

    Raises Refused for a name that is neither.
    """
    found = rows.roster().senders.get(name or default.name)
    if found:
        return found.sender
    if name is None:
        return default
    if name not in PRESETS:
        raise Refused(nobody(name, [*PRESETS, *(row.name for row in rows.senders)]))
    return PRESETS[name]
