"""Owns version 0010: what rejected postbacks take, by whose they are, and what their inputs have in common.

Additive: code of version 0001 runs on this schema. The triggers count what it writes and deletes as well. No table is
rewritten, and on PostgreSQL no writer waits while what is there already is counted. It can be run again from anywhere.
"""

import re

import sqlalchemy as sa
from alembic import op

from service.storage.migrations.online import create_index, drop_index

revision = "0010"
down_revision = "0009"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_REJECTED, _SHARED, _SHARES = "rejected_postback", "shared_input", "quarantine_share"
_SIZES = {_REJECTED: "raw", _SHARED: "content"}
_IN_SHARE = ["sender", "received_at", "id"]
_INDEXES = (
    ("ix_rejected_postback_share", _IN_SHARE, ""),
    ("ix_rejected_postback_replayed", _IN_SHARE, "replayed_at IS NOT NULL"),
    ("ix_rejected_postback_shared", ["shared"], "shared IS NOT NULL"),
)


def upgrade() -> None:
    """Add a column that may be null, two tables and the triggers; then the indexes; then count what is there."""
    postgres = op.get_context().dialect.name == "postgresql"
    if "shared" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(_REJECTED)}:
        op.add_column(_REJECTED, sa.Column("shared", _TEXT, nullable=True))
    op.create_table(
        _SHARED,
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("sender", _TEXT, nullable=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        _SHARES,
        sa.Column("share", _TEXT, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    for counted in _SIZES.items():
        for statement in _counted_by_postgres(*counted) if postgres else _counted_by_sqlite(*counted):
            op.execute(statement)
    for name, columns, where in _INDEXES:
        create_index(name, _REJECTED, columns, where=where)
    op.execute(_COUNT)


def downgrade() -> None:
    """Drop them, once each row has its whole input again."""
    postgres = op.get_context().dialect.name == "postgresql"
    for table in _SIZES:
        for event in ("insert", "delete"):
            op.execute(f"DROP TRIGGER {table}_{event}" + (f" ON {table}" if postgres else ""))
        if postgres:
            op.execute(f"DROP FUNCTION count_{table}()")
    op.execute(_named(_WHOLE, {"BYTES": "BYTEA" if postgres else "BLOB"}))
    for name, _, _ in _INDEXES:
        drop_index(name, _REJECTED)
    for table in (_SHARES, _SHARED):
        op.drop_table(table)
    op.drop_column(_REJECTED, "shared")


def _counted_by_sqlite(table: str, size: str) -> list[str]:
    """Return triggers that count each row."""
    statements = []
    for event, row, sign in (("insert", "NEW", "+"), ("delete", "OLD", "-")):
        named = {"TABLE": table, "EVENT": event, "ROW": row, "SIGN": sign, "SIZE": f"length({row}.{size}) + 500"}
        statements += [_named("DROP TRIGGER IF EXISTS :TABLE_:EVENT", named), _named(_EACH_ROW, named)]
    return statements


def _counted_by_postgres(table: str, size: str) -> list[str]:
    """Return triggers that count all rows of a statement together, in the slot of their connection."""
    statements = [_named(_FUNCTION, {"TABLE": table, "SIZE": f"sum(length({size}) + 500)"})]
    for event, rows in (("insert", "NEW"), ("delete", "OLD")):
        named = {"TABLE": table, "EVENT": event, "ROWS": rows}
        statements += [
            _named("DROP TRIGGER IF EXISTS :TABLE_:EVENT ON :TABLE", named),
            _named(_EACH_STATEMENT, named),
        ]
    return statements


def _named(statement: str, names: dict[str, str]) -> str:
    for name, meant in names.items():
        statement = re.sub(rf":{name}(?![A-Z])", meant, statement)
    return statement


# No UPSERT in it: within a statement that is OR ROLLBACK it would be one as well.
_EACH_ROW = """
    CREATE TRIGGER :TABLE_:EVENT AFTER :EVENT ON :TABLE BEGIN
        INSERT INTO quarantine_share (share, slot, bytes) SELECT coalesce(:ROW.sender, ''), 0, 0
            WHERE NOT EXISTS (SELECT 1 FROM quarantine_share WHERE share = coalesce(:ROW.sender, '') AND slot = 0);
        UPDATE quarantine_share SET bytes = bytes :SIGN (:SIZE) WHERE share = coalesce(:ROW.sender, '') AND slot = 0;
    END
"""
# 64 writers of a server count beside each other.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION count_:TABLE() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO quarantine_share AS kept (share, slot, bytes)
            SELECT coalesce(sender, ''), pg_backend_pid() % 64, CASE TG_OP WHEN 'INSERT' THEN :SIZE ELSE -:SIZE END
            FROM changed GROUP BY 1 ORDER BY 1
            ON CONFLICT (share, slot) DO UPDATE SET bytes = kept.bytes + excluded.bytes;
        RETURN NULL;
    END $$
"""
_EACH_STATEMENT = """
    CREATE TRIGGER :TABLE_:EVENT AFTER :EVENT ON :TABLE REFERENCING :ROWS TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_:TABLE()
"""
# One statement, so one moment: what is there less what the triggers have counted of it by then.
_COUNT = """
    INSERT INTO quarantine_share (share, slot, bytes)
    SELECT share, -1, sum(bytes) FROM (
        SELECT coalesce(sender, '') AS share, length(raw) + 500 AS bytes FROM rejected_postback
        UNION ALL SELECT coalesce(sender, ''), length(content) + 500 FROM shared_input
        UNION ALL SELECT share, -bytes FROM quarantine_share
    ) AS counted GROUP BY share HAVING sum(bytes) <> 0
"""
_WHOLE = """
    UPDATE rejected_postback SET shared = NULL,
        raw = CAST((SELECT content FROM shared_input WHERE digest = shared) || raw AS :BYTES)
    WHERE shared IS NOT NULL
"""
