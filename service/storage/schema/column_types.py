"""Owns the types of columns that both engines must hold alike: texts, numbers of rows, moments."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator

Text = String().with_variant(String(collation="C"), "postgresql")  # byte order, as SQLite compares and sorts
Number = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER is SQLite's own row number


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite stores the text `YYYY-MM-DD HH:MM:SS.ffffff`, always in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC, whatever zone the caller's datetime is in."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back UTC: SQLite keeps no zone, PostgreSQL tells the moment in its session's."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
