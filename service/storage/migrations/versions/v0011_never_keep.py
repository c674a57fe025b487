"""Owns version 0011: senders with parameters whose values nobody keeps.

Additive: code of version 0001 runs on this schema, and keeps the values. No table is rewritten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a column that may be null."""
    op.add_column("sender", sa.Column("never_keep", sa.JSON, nullable=True))


def downgrade() -> None:
    """Drop it: every parameter is kept."""
    op.drop_column("sender", "never_keep")
