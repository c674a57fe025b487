"""Owns what each table is to those who write, count, copy, delete and erase: one entry a table, and no other list.

What its columns, types and key are, the SQLModel classes say (tables.py, housekeeping.py).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from sqlalchemy import Column, Table
from sqlmodel import SQLModel

from service.core.outcome import Outcome
from service.storage.schema.housekeeping import (
    DatabaseIdentity,
    QuarantineShare,
    SchemaFloor,
    TrustedClock,
    WriteProbe,
)
from service.storage.schema.tables import (
    ApiKey,
    Conversion,
    ConversionKey,
    Correction,
    Deletion,
    Duplicate,
    ImportedFile,
    RegisteredSender,
    RejectedPostback,
    Replay,
    SharedInput,
    SigningSecret,
    StatusChange,
)

KEY = tuple(ConversionKey.model_fields)  # of a conversion (law 3)


@dataclass(frozen=True)
class StoredTable:
    """A table, and what becomes of its rows.

    `postbacks`: they are written with postbacks, so they are counted by audits, backups and the books (law 5), under
    `outcome`, or under the one that each row names. `later` are columns that are filled after the row was written.
    `erased`: they go with their click id. `days` is the setting that says how long retention keeps them; empty: for
    ever. `copied`: `migrate copy` takes them along. `emptied`: a database without them is as if it was new.
    """

    model: type[SQLModel]
    postbacks: bool = False
    outcome: Outcome | None = None
    later: tuple[str, ...] = ()
    erased: bool = False
    days: str = ""
    copied: bool = True
    emptied: bool = True

    @cached_property
    def name(self) -> str:
        """Return what it is called in the database; plain text, for SQLAlchemy's own kind of text is no key of JSON."""
        return str(self.table.name)

    @cached_property
    def table(self) -> Table:
        """Return it as SQLAlchemy knows it."""
        return cast("Table", self.model.__table__)  # type: ignore[attr-defined]  # SQLModel adds it, untyped

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Return the columns of its primary key."""
        return tuple(column.name for column in self.table.primary_key)

    @cached_property
    def numbered(self) -> bool:
        """Say whether the database numbers its rows."""
        return any(column.identity for column in self.table.columns)

    @cached_property
    def written(self) -> list["Column[object]"]:
        """Return the columns that are written with a row, in the order of the rows that storage makes."""
        return [column for column in self.table.columns if not column.identity and column.name not in self.later]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(column.name for column in self.written)


DRAINED = "drained_at"  # of a row that waited in a spool; only what was drained is written with it
_LATER = (DRAINED,)
CONVERSION = StoredTable(
    Conversion, postbacks=True, outcome=Outcome.STORED, later=_LATER, erased=True, days="conversion_days"
)
CHANGE = StoredTable(
    StatusChange, postbacks=True, outcome=Outcome.UPDATED, later=_LATER, erased=True, days="conversion_days"
)
DUPLICATE = StoredTable(
    Duplicate, postbacks=True, outcome=Outcome.DUPLICATE, later=_LATER, erased=True, days="duplicate_days"
)
REJECTED = StoredTable(
    RejectedPostback,
    postbacks=True,
    later=(*_LATER, "replayed_at", "replay_outcome"),
    erased=True,
    days="rejected_days",
)
CORRECTION = StoredTable(Correction, erased=True, days="conversion_days")
REPLAY = StoredTable(Replay, erased=True)
SHARED = StoredTable(SharedInput)
SHARES = StoredTable(QuarantineShare, copied=False)  # the target's triggers count what is copied
DELETION = StoredTable(Deletion)
PROBE = StoredTable(WriteProbe, copied=False)
TABLES = (
    *(CONVERSION, CHANGE, DUPLICATE, REJECTED),
    *(SHARED, SHARES, CORRECTION, REPLAY, StoredTable(ImportedFile), DELETION),
    *(StoredTable(RegisteredSender), StoredTable(ApiKey), StoredTable(SigningSecret)),
    *(PROBE, StoredTable(DatabaseIdentity, copied=False, emptied=False), StoredTable(TrustedClock, copied=False)),
    StoredTable(SchemaFloor, copied=False, emptied=False),
)
OF_POSTBACKS = tuple(table for table in TABLES if table.postbacks)


def table_of(model: type[SQLModel]) -> StoredTable:
    """Return the entry of a table."""
    return next(table for table in TABLES if table.model is model)


def markdown_table() -> str:
    """Return the list of tables of docs/architecture.md."""
    return "\n".join(
        [
            "| table | a row is | written with postbacks | ends |",
            "| --- | --- | --- | --- |",
            *(f"| `{table.name}` | {_sentence(table)} | {_written_as(table)} | {_end_of(table)} |" for table in TABLES),
        ]
    )


def _sentence(table: StoredTable) -> str:
    return (table.model.__doc__ or "").partition("\n")[0]


def _written_as(table: StoredTable) -> str:
    if not table.postbacks:
        return ""
    return f"`{table.outcome.value}`" if table.outcome else "as its column `outcome` says"


def _end_of(table: StoredTable) -> str:
    after = f"after `POSTBACK_{table.days.upper()}`" if table.days else ""
    return ", ".join(part for part in (after, "with its click id (`erase`)" if table.erased else "") if part)
