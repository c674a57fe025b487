"""The migrations: an empty file becomes exactly the declared schema, and going there twice changes nothing."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from service.storage.migrations import migrate


def test_the_migrated_schema_is_the_declared_schema(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    migrate(path)
    with create_engine(f"sqlite:///{path}", poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_the_comparison_would_see_a_difference(tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path / 'empty.db'}", poolclass=NullPool).connect() as connection:
        missing = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    assert len(missing) >= len(SQLModel.metadata.tables) > 0


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_conversions_are_kept_in_one_tree(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    migrate(path)
    with create_engine(f"sqlite:///{path}", poolclass=NullPool).connect() as connection:
        ddl = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = 'conversion'").scalar_one()
    assert "WITHOUT ROWID" in ddl
