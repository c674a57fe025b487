"""Owns version 0001: conversions, duplicates, rejected postbacks and the write probe."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the first four tables."""
    op.create_table("conversion", *_key(primary_key=True), *_conversion(), sqlite_with_rowid=False)
    op.create_table("duplicate", _id(), *_key(), *_arrival())
    op.create_index("ix_duplicate_click_id", "duplicate", ["click_id"])
    op.create_table("rejected_postback", _id(), *_rejected(), *_arrival())
    op.create_index("ix_rejected_postback_click_id", "rejected_postback", ["click_id"])
    op.create_table(
        "write_probe",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop them, with everything they hold."""
    for table in ("write_probe", "rejected_postback", "duplicate", "conversion"):
        op.drop_table(table)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _key(*, primary_key: bool = False) -> list[sa.Column[object]]:
    columns: list[sa.Column[object]] = []
    for name in ("sender", "is_test", "click_id", "goal", "transaction_id"):
        kind = sa.Boolean() if name == "is_test" else _TEXT
        columns.append(sa.Column(name, kind, nullable=False, primary_key=primary_key))
    return columns


def _arrival() -> list[sa.Column[object]]:
    return [
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("door", _TEXT, nullable=False),
    ]


def _conversion() -> list[sa.Column[object]]:
    return [
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("value_micros", sa.BigInteger, nullable=False),
        sa.Column("currency", _TEXT, nullable=True),
        sa.Column("params", sa.JSON, nullable=False),
        *_arrival(),
    ]


def _rejected() -> list[sa.Column[object]]:
    return [
        sa.Column("sender", _TEXT, nullable=True),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("detail", _TEXT, nullable=False),
        sa.Column("click_id", _TEXT, nullable=True),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replay_outcome", _TEXT, nullable=True),
    ]
