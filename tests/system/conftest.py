"""Owns what the system tests share: a server, the empty databases that they ask of it, and what `doctor` examines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outside.examined_service import command, running
from tests.support.outside.harness import migrate
from tests.support.outside.postgres import PostgresServer

__all__ = ["command", "running"]
_MIGRATED = "migrated"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Start one server for all tests of this process that leave it alone, with a migrated database to copy from."""
    with PostgresServer() as started:
        started.sql(f"CREATE DATABASE {_MIGRATED}")
        migrate(tmp_path_factory.mktemp("migrated"), started.url(_MIGRATED))
        yield started


@pytest.fixture
def postgres_url(server: PostgresServer) -> str:
    """Give an empty, migrated database."""
    return server.url(server.new_database(_MIGRATED))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each engine, at its newest schema where a start does not see to that."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'p.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
