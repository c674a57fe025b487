"""Owns becoming the writer of a database before its rows are changed: what is done then is what was shown before."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.core.unavailable import ErrorKind, StorageError
from service.operations.errors import BeingServed
from service.storage.database import Database
from service.storage.ledger import Ledger

_COMMIT_SECONDS = 10.0  # nobody waits for an answer here


@contextmanager
def sole_writer(database: Database, purpose: str) -> Iterator[Ledger]:
    """Open the database's writer; on SQLite nobody else writes until the end, on PostgreSQL others may.

    Raises BeingServed, which names the `purpose`, while another process is the file's writer, and StorageError.
    """
    ledger = database.ledger(_COMMIT_SECONDS)
    try:
        ledger.open()
    except StorageError as error:
        if error.kind != ErrorKind.LOCKED:
            raise
        raise BeingServed(f"{error}; SQLite has one writer: stop the service first, then {purpose}") from error
    try:
        yield ledger
    finally:
        ledger.close()
