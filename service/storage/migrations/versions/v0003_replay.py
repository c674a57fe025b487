"""Owns version 0003: who replayed which rejected postback, when, with what outcome; rejected postbacks by time.

Additive: code of version 0001 runs on this schema.
"""

import sqlalchemy as sa
from alembic import op

from service.storage.migrations.online import create_index, drop_index

revision = "0003"
down_revision = "0002"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INDEX = "ix_rejected_postback_received_at"


def upgrade() -> None:
    """Create the table, and the index that lists and exports read in order."""
    create_index(_INDEX, "rejected_postback", ["received_at"])
    op.create_table(
        "replay",
        sa.Column("rejected_request_id", _TEXT, primary_key=True),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("outcome", _TEXT, nullable=True),
        sa.Column("replayed_by", _TEXT, nullable=False),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_replay_request_id", "replay", ["request_id"], unique=True)


def downgrade() -> None:
    """Drop them: what was replayed stays, and who did it is forgotten."""
    op.drop_table("replay")
    drop_index(_INDEX, "rejected_postback")
