"""Owns the steps that leave a big table usable while they run; on SQLite, where nobody else writes, plain ones."""

from alembic import op


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    """Create an index; on PostgreSQL beside the writers, who never wait for it.

    What an interrupted build left behind is dropped first: PostgreSQL keeps it, invalid, under the index's name.
    """
    with op.get_context().autocommit_block():
        _without_lock_timeout()
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True)


def drop_index(name: str, table: str) -> None:
    """Drop an index; on PostgreSQL beside the readers who still use it."""
    with op.get_context().autocommit_block():
        _without_lock_timeout()
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _without_lock_timeout() -> None:
    """Wait for older transactions however long they take: nobody waits behind a concurrent build."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("SET lock_timeout = 0")
