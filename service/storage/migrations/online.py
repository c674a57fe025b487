"""Owns the steps that leave a big table usable while they run; on SQLite, where nobody else writes, plain ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

LOCK_SECONDS = 1.0  # the longest that writers wait behind a migration which waits for a table


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False, where: str = "") -> None:
    """Create an index; on PostgreSQL beside the writers, who never wait for it.

    `where` is the condition for the rows that are in it.

    What an interrupted build left behind is dropped first: PostgreSQL keeps it, invalid, under the index's name.
    """
    with _beside_the_writers():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        some = text(where) if where else None
        op.create_index(
            name,
            table,
            columns,
            unique=unique,
            postgresql_concurrently=True,
            postgresql_where=some,
            sqlite_where=some,
        )


def drop_index(name: str, table: str) -> None:
    """Drop an index; on PostgreSQL beside the readers who still use it."""
    with _beside_the_writers():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _beside_the_writers() -> Iterator[None]:
    """Leave the transaction, and wait for others however long they take: nobody waits behind a concurrent build."""
    postgres = op.get_context().dialect.name == "postgresql"
    with op.get_context().autocommit_block():
        if postgres:
            op.execute("SET lock_timeout = 0")
        yield
        if postgres:
            op.execute(f"SET lock_timeout = {LOCK_SECONDS * 1000:.0f}")  # for the versions that follow
