"""Owns the tables that storage needs for itself: what it proves, believes and counts, and of which version it is."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field, SQLModel

from service.storage.schema.column_types import Text, UtcDateTime


class QuarantineShare(SQLModel, table=True):
    """The bytes of one sender's rejected postbacks, or of all strangers' (an empty `share`): the sum of its slots.

    Triggers keep it, whoever writes or deletes. Writers of a server have slots, so that none waits for another.
    """

    __tablename__ = "quarantine_share"

    share: str = Field(sa_type=Text, primary_key=True)
    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    bytes: int = Field(sa_type=BigInteger)


class WriteProbe(SQLModel, table=True):
    """Rows that readiness rewrites, proof that the whole way to the disk works: one on SQLite, one for each replica."""

    __tablename__ = "write_probe"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    probed_at: datetime = Field(sa_type=UtcDateTime)


class DatabaseIdentity(SQLModel, table=True):
    """One row: what this database is called by the journals that hold postbacks for it."""

    __tablename__ = "database_identity"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    identity: str = Field(sa_type=Text)


class TrustedClock(SQLModel, table=True):
    """One row: the last moment at which the clock was believed; retention deletes by such a clock only."""

    __tablename__ = "trusted_clock"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    trusted_at: datetime = Field(sa_type=UtcDateTime)


class SchemaFloor(SQLModel, table=True):
    """One row: the oldest code, named by its newest migration, that may run on this schema. Contracting raises it."""

    __tablename__ = "schema_floor"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    oldest_code: str = Field(sa_type=Text)
