"""Owns version 0005: a conversion's status, and the history of its changes.

Additive: code of version 0001 runs on this schema, and stores conversions without a status.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column, which needs no rewriting of the table, and create the history."""
    op.add_column("conversion", sa.Column("conversion_status", _TEXT, nullable=True))
    op.create_table(
        "status_change",
        *(sa.Column(name, kind, primary_key=True) for name, kind in _KEY),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("conversion_status", _TEXT, nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("value_micros", sa.BigInteger, nullable=False),
        sa.Column("currency", _TEXT, nullable=True),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("door", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop both: what became of conversions is forgotten, and doctor takes it for lost."""
    op.drop_table("status_change")
    op.drop_column("conversion", "conversion_status")


_KEY = (
    ("sender", _TEXT),
    ("is_test", sa.Boolean()),
    ("click_id", _TEXT),
    ("goal", _TEXT),
    ("transaction_id", _TEXT),
)
