"""Owns how Alembic runs here: on the connection that `upgrade` hands over, each version in a transaction."""

from alembic import context
from sqlmodel import SQLModel

from service.storage.schema import registry  # noqa: F401 - declares the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
