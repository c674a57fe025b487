"""Owns version 0009: what is known of a refused postback's sender, and corrections of what conversions are worth.

Additive: code of version 0001 runs on this schema, and judges repeats by what was stored at first. No table is
rewritten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_KNOWN = ("key_id", "client_ip")


def upgrade() -> None:
    """Add columns that may be null, and a table."""
    for column in _KNOWN:
        op.add_column("rejected_postback", sa.Column(column, _TEXT, nullable=True))
    op.create_table(
        "correction",
        *(sa.Column(name, kind, primary_key=True) for name, kind in _KEY),
        *(sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in ("number", "revision")),
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("value_micros", sa.BigInteger, nullable=False),
        sa.Column("currency", _TEXT, nullable=True),
        sa.Column("conversion_status", _TEXT, nullable=True),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("corrected_by", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them: conversions are worth again what was read at first."""
    op.drop_table("correction")
    for column in _KNOWN:
        op.drop_column("rejected_postback", column)


_KEY = (
    ("sender", _TEXT),
    ("is_test", sa.Boolean()),
    ("click_id", _TEXT),
    ("goal", _TEXT),
    ("transaction_id", _TEXT),
)
