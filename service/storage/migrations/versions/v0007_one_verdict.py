"""Owns version 0007: what a verdict was made by and when, whose a journal is, and until when the clock was believed.

Additive: code of version 0001 runs on this schema. No table is rewritten.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_OF_POSTBACKS = ("conversion", "status_change", "duplicate", "rejected_postback")
_ERASED = "ix_deletion_erased"


def upgrade() -> None:
    """Add columns that may be null, and tables of a few rows."""
    for table in _OF_POSTBACKS:
        op.add_column(table, sa.Column("drained_at", _MOMENT, nullable=True))
    op.add_column("replay", sa.Column("rules", sa.JSON, nullable=True))
    op.create_table(
        "imported_file",
        sa.Column("request_id", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False),
    )
    identity = op.create_table(
        "database_identity",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("identity", _TEXT, nullable=False),
    )
    op.bulk_insert(identity, [{"id": 1, "identity": secrets.token_hex(16)}])
    op.create_table(
        "trusted_clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("trusted_at", _MOMENT, nullable=False),
    )
    erased = sa.text("click_id_sha256 IS NOT NULL")
    op.create_index(_ERASED, "deletion", ["deleted_at"], sqlite_where=erased, postgresql_where=erased)


def downgrade() -> None:
    """Drop them: an import that is given again is judged by today's rules then."""
    op.drop_index(_ERASED, "deletion")
    for table in ("trusted_clock", "database_identity", "imported_file"):
        op.drop_table(table)
    op.drop_column("replay", "rules")
    for table in _OF_POSTBACKS:
        op.drop_column(table, "drained_at")
