"""Owns version 0008: senders with currencies and placeholders of their own, and with strict statuses.

Additive: code of version 0001 runs on this schema. No table is rewritten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns that may be null."""
    op.add_column("sender", sa.Column("strict_status", sa.Boolean, nullable=True))
    for column in ("currencies", "placeholders"):
        op.add_column("sender", sa.Column(column, sa.JSON, nullable=True))


def downgrade() -> None:
    """Drop them: every sender is judged as the presets are."""
    for column in ("placeholders", "currencies", "strict_status"):
        op.drop_column("sender", column)
