"""Owns how Alembic, configured in code, is told to run a version: imported only where there is something to run."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from service.storage.migrations.online import LOCK_SECONDS


def upgrade(connection: Connection, target: str) -> None:
    """Go forward to a version."""
    _run(connection, command.upgrade, target)


def downgrade(connection: Connection, target: str) -> None:
    """Go back to a version, or to `base`."""
    _run(connection, command.downgrade, target)


def _run(connection: Connection, action: Callable[[Config, str], None], target: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = {LOCK_SECONDS * 1000:.0f}"))
        connection.commit()  # Alembic must find no transaction, to have one of its own for each version
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    action(config, target)
    connection.commit()
