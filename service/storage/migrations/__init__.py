"""Owns the schema's history: Alembic, configured in code, and the versions it applies."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from service.storage.engine import StorageError


def migrate(path: Path) -> None:
    """Bring a SQLite file to the newest version; one that is there already is left as it is. Raises StorageError."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with create_engine(f"sqlite:///{path}", poolclass=NullPool).connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:  # a version that this code does not know: written by a newer one
            raise StorageError(f"{path} cannot be migrated: {error}", "MIGRATION") from error
