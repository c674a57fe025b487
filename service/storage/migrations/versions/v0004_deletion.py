"""Owns version 0004: what was deleted, by whom, when and why; duplicates by time.

Additive: code of version 0001 runs on this schema.
"""

import sqlalchemy as sa
from alembic import op

from service.storage.migrations.online import create_index, drop_index

revision = "0004"
down_revision = "0003"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INDEX = "ix_duplicate_received_at"


def upgrade() -> None:
    """Create the table, and the index by which old duplicates are found."""
    create_index(_INDEX, "duplicate", ["received_at"])
    op.create_table(
        "deletion",
        *(sa.Column(name, _TEXT, primary_key=True) for name in ("run", "table_name", "reason", "outcome", "process")),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_by", _TEXT, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("click_id_sha256", _TEXT, nullable=True),
    )
    op.create_index("ix_deletion_process", "deletion", ["process"])


def downgrade() -> None:
    """Drop them: nobody can tell any more what was deleted, and doctor takes it for lost."""
    op.drop_table("deletion")
    drop_index(_INDEX, "duplicate")
