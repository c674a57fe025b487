"""Owns the tables: their columns, keys and types, as SQLModel declares them and the migrations build them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, LargeBinary, TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite stores the text `YYYY-MM-DD HH:MM:SS.ffffff`, always in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC, whatever zone the caller's datetime is in."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back an aware datetime."""
        return value and value.replace(tzinfo=value.tzinfo or UTC)


class ConversionKey(SQLModel):
    """The identity of a conversion (law 3). Natural, so that the same schema distributes on a sharded PostgreSQL."""

    sender: str
    is_test: bool
    click_id: str
    goal: str
    transaction_id: str


class Conversion(ConversionKey, table=True):
    """The accepted, stored fact. `value` is what was sent, `value_micros` the same amount in millionths."""

    __tablename__ = "conversion"
    __table_args__ = {"sqlite_with_rowid": False}  # one B-tree instead of two

    sender: str = Field(primary_key=True)
    is_test: bool = Field(primary_key=True)
    click_id: str = Field(primary_key=True)
    goal: str = Field(primary_key=True)
    transaction_id: str = Field(primary_key=True)
    value: str
    value_micros: int = Field(sa_type=BigInteger)
    currency: str | None
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = Field(sa_type=UtcDateTime)
    request_id: str
    door: str


class Duplicate(ConversionKey, table=True):
    """A later arrival of a stored conversion with the same value: it changed nothing, and this says when it came."""

    __tablename__ = "duplicate"

    id: int | None = Field(default=None, primary_key=True)
    click_id: str = Field(index=True)
    received_at: datetime = Field(sa_type=UtcDateTime)
    request_id: str
    door: str


class RejectedPostback(SQLModel, table=True):
    """The kept input of a postback that was not accepted (or conflicts): `raw` is what was sent, byte for byte."""

    __tablename__ = "rejected_postback"

    id: int | None = Field(default=None, primary_key=True)
    received_at: datetime = Field(sa_type=UtcDateTime)
    door: str
    sender: str | None
    outcome: str
    detail: str
    click_id: str | None = Field(index=True)
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    request_id: str
    replayed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replay_outcome: str | None = None


class WriteProbe(SQLModel, table=True):
    """One row that readiness rewrites: proof that the whole way to the disk works."""

    __tablename__ = "write_probe"

    id: int = Field(primary_key=True)
    probed_at: datetime = Field(sa_type=UtcDateTime)
