"""Owns being alone with something: at any moment one process of all that use a database does it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from service.storage.pool import Pool

Held = Callable[[], None]  # asks whether it is still so


@contextmanager
def alone(writes: Pool, key: int) -> Iterator[Held | None]:
    """Be the only one that holds this key, of 64 bits with the sign; None if another one does. Raises StorageError.

    On a server an open transaction holds the lock, and not a session: a pooler in transaction mode gives those to
    others. Between two questions it is idle and has no snapshot, so it keeps nothing from being vacuumed; it ends with
    the process. On SQLite whoever may write is alone.
    """
    if writes.engine.dialect.name != "postgresql":
        yield lambda: None
        return
    with writes.transaction() as guard:
        if not guard.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar():
            yield None
            return
        yield lambda: guard.execute(text("SELECT 1")).close()
