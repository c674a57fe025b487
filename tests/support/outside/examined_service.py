"""Owns the service that `doctor` examines: one row of each kind in it, and what a test does behind its back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.examining import MACHINE, Command
from tests.support.outside.harness import Row, Service

PROCESS = {
    "ready",
    "metrics",
    "build",
    "conservation_drift",
    "storage_errors",
    "queue",
    "log",
    "file_descriptors",
} - MACHINE
COMPARED = {"same_database", "rows_counted", "outcomes_counted", "foreign_rows"}
PUBLIC = {"public_name", "public_connection", "public_certificate", "public_health", "public_door", "public_walls"}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Start the command that is forked for each run."""
    with closing(Command(tmp_path_factory.mktemp("command"))) as started:
        yield started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a filled service for the tests of a file."""
    with Service(tmp_path_factory.mktemp("running")) as service:
        fill(service)
        yield service


def fill(service: Service) -> None:
    """Send three conversions, a duplicate, a conflict and a rejection."""
    for query in ("c=a&value=1", "c=b&value=1", "c=c&value=1", "c=a&value=1", "c=b&value=2", "c=d&value=x"):
        assert service.get(f"/postback?{query}").status in (200, 400)


def change(database: Path, statement: str, *parameters: object) -> None:
    """Change the database behind the service's back."""
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute(statement, parameters)


def insert(database: Path, table: str, row: Row) -> None:
    """Add a row by hand."""
    change(database, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)  # noqa: S608 - our own names


def back_up(service: Service, path: Path) -> Path:
    """Back the database up while it is served, as the operating notes say."""
    with closing(sqlite3.connect(service.database)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    change(path, "PRAGMA journal_mode=WAL")
    return path
