"""Owns the errors for a dependency that is unavailable, and the kinds of storage errors."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Unavailable(Exception):  # noqa: N818 - the state, as the outcome has it
    """Something that a postback needs is not available now: the same request may be sent again later.

    `advice` is what the sender should do, where the outcome's own hint does not say it.
    """

    advice = ""


class Overloaded(Unavailable):  # the word of the outcome
    """The queue is full, or closing: nothing was stored, try again later."""


class ErrorKind(StrEnum):
    """What kind of storage error it is. The value is the label `error` of `postback_storage_errors_total`."""

    TIMEOUT = "TIMEOUT"  # no commit within the deadline
    MOVED = "MOVED"  # the file was moved or deleted while it was written
    SQLITE_BUSY = "SQLITE_BUSY"
    SQLITE_FULL = "SQLITE_FULL"
    SQLITE_IOERR = "SQLITE_IOERR"
    SQLITE_READONLY = "SQLITE_READONLY"
    SQLITE_CORRUPT = "SQLITE_CORRUPT"
    SQLITE_NOTADB = "SQLITE_NOTADB"
    SQLITE_CANTOPEN = "SQLITE_CANTOPEN"
    SQLITE_INTERRUPT = "SQLITE_INTERRUPT"
    SQLITE_OTHER = "SQLITE_OTHER"
    NOT_DURABLE = "NOT_DURABLE"  # a 200 would be no receipt
    PG_CONNECTION = "PG_CONNECTION"
    PG_SHUTDOWN = "PG_SHUTDOWN"
    PG_SERIALIZATION = "PG_SERIALIZATION"
    PG_DEADLOCK = "PG_DEADLOCK"
    PG_TIMEOUT = "PG_TIMEOUT"
    PG_FULL = "PG_FULL"
    PG_READ_ONLY = "PG_READ_ONLY"
    PG_NOT_DURABLE = "PG_NOT_DURABLE"
    PG_OTHER = "PG_OTHER"
    SPOOL_FULL = "SPOOL_FULL"
    NO_DATABASE = "NO_DATABASE"  # nothing is there yet
    RESTORING = "RESTORING"  # a restore replaces the file, or was cut off
    LOCKED = "LOCKED"  # another process is the file's writer
    MIGRATION = "MIGRATION"  # the schema is not this code's
    VANISHED = "VANISHED"  # what held a key was deleted before it could be asked
    INTERRUPTED = "INTERRUPTED"  # not answered within the seconds given
    CANTOPEN = "CANTOPEN"  # a file cannot be opened or written
    EXISTS = "EXISTS"  # a file is there that must not be replaced
    ANOTHER_DATABASE = "ANOTHER_DATABASE"  # a journal's entries are for it
    UNREADABLE = "UNREADABLE"  # a journal that is none of ours
    COPY = "COPY"  # the target of a copy is not what it must be


class StorageError(Unavailable):
    """A storage operation failed and may be tried again.

    `rows` says, by table, what is durable all the same.
    """

    def __init__(self, message: str, kind: ErrorKind, rows: Mapping[str, int] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.kind = kind
        self.rows = rows


class NotTogether(StorageError):  # noqa: N818 - the state of a batch of all or none
    """A batch of all or none cannot be judged now, and nothing of it was stored."""

    advice = "Nothing of it was stored. Send it again later, or without atomic=1: then each row is accepted by itself."


class StorageBroken(StorageError):  # noqa: N818 - the state, not another error
    """Storage is in an unknown state (an I/O error, a moved file): this process must stop, and never retry on it."""
