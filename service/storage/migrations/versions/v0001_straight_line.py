"""Owns version 0001: conversions, duplicates, rejected postbacks and the write probe."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first four tables."""
    op.create_table("conversion", *_key(primary_key=True), *_conversion(), sqlite_with_rowid=False)
    op.create_table("duplicate", sa.Column("id", sa.Integer, primary_key=True), *_key(), *_arrival())
    op.create_index("ix_duplicate_click_id", "duplicate", ["click_id"])
    op.create_table("rejected_postback", sa.Column("id", sa.Integer, primary_key=True), *_rejected(), *_arrival())
    op.create_index("ix_rejected_postback_click_id", "rejected_postback", ["click_id"])
    op.create_table(
        "write_probe",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop them, with everything they hold."""
    for table in ("write_probe", "rejected_postback", "duplicate", "conversion"):
        op.drop_table(table)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _key(*, primary_key: bool = False) -> list[sa.Column[object]]:
    types = {"sender": sa.String, "is_test": sa.Boolean, "click_id": sa.String, "goal": sa.String}
    return [
        sa.Column(name, kind, nullable=False, primary_key=primary_key)
        for name, kind in {**types, "transaction_id": sa.String}.items()
    ]


def _arrival() -> list[sa.Column[object]]:
    return [
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("door", sa.String, nullable=False),
    ]


def _conversion() -> list[sa.Column[object]]:
    return [
        sa.Column("value", sa.String, nullable=False),
        sa.Column("value_micros", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String, nullable=True),
        sa.Column("params", sa.JSON, nullable=False),
        *_arrival(),
    ]


def _rejected() -> list[sa.Column[object]]:
    return [
        sa.Column("sender", sa.String, nullable=True),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("click_id", sa.String, nullable=True),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replay_outcome", sa.String, nullable=True),
    ]
