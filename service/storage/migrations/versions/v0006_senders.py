"""Owns version 0006: who is registered, and by which keys and secrets each is known.

Additive: code of version 0001 runs on this schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables. They are small: no index but their keys."""
    op.create_table(
        "sender",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("preset", _TEXT, nullable=False),
        sa.Column("numbers", _TEXT, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("required", sa.JSON, nullable=True),
        sa.Column("statuses", sa.JSON, nullable=False),
        sa.Column("duplicates", _TEXT, nullable=False),
        sa.Column("networks", sa.JSON, nullable=False),
        sa.Column("rate_per_second", sa.Integer, nullable=True),
        sa.Column("report_only", sa.JSON, nullable=False),
        sa.Column("oauth_subject", _TEXT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("disabled_at", _MOMENT, nullable=True),
    )
    op.create_table(
        "api_key",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("secret_sha256", _TEXT, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("doors", sa.JSON, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
    )
    op.create_table(
        "signing_secret",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("secret", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT, nullable=True),
    )


def downgrade() -> None:
    """Drop them: keys end to be valid for ever, because nobody knows their secrets."""
    for table in ("signing_secret", "api_key", "sender"):
        op.drop_table(table)
