"""Owns version 0002: a request id is kept once, so an ambiguous commit can be repeated; the oldest code that may run.

Additive: code of version 0001 runs on this schema.
"""

import sqlalchemy as sa
from alembic import op

from service.storage.migrations.online import create_index, drop_index

revision = "0002"
down_revision = "0001"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TABLES = ("duplicate", "rejected_postback")


def upgrade() -> None:
    """Create the two indexes, and the table that says which code may run on this schema."""
    for table in _TABLES:
        create_index(f"ix_{table}_request_id", table, ["request_id"], unique=True)
    op.create_table(
        "schema_floor",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("oldest_code", _TEXT, nullable=False),
    )
    op.execute("INSERT INTO schema_floor (id, oldest_code) VALUES (1, '0001')")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("schema_floor")
    for table in _TABLES:
        drop_index(f"ix_{table}_request_id", table)
