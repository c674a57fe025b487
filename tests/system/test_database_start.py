"""Owns what a start on PostgreSQL promises: the schema is made when asked for, and a 200 that is no receipt refused."""

from pathlib import Path

import pytest

from tests.support.outside.harness import NotStarted
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.trial import Replica

pytestmark = [pytest.mark.system, pytest.mark.faults]


def replica(directory: Path, server: PostgresServer, database: str) -> Replica:
    """Return the service on a database that may be empty."""
    return Replica(directory / "replica", server.url(database))


def test_a_start_that_is_to_migrate_makes_the_schema_and_says_so(tmp_path: Path, server: PostgresServer) -> None:
    with replica(tmp_path, server, server.new_database()) as service:
        assert service.postback("first").outcome == "stored"
        migrations = [line for line in service.log_lines() if line["event"] == "migrating"]
        assert migrations
        assert all(str(line["detail"]).startswith("0") for line in migrations)


@pytest.mark.parametrize("setting", ["synchronous_commit=off", "client_min_messages=error"])
def test_a_database_whose_acknowledgements_promise_nothing_is_refused_at_the_start(
    tmp_path: Path, server: PostgresServer, setting: str
) -> None:
    database = server.new_database()
    server.sql(f"ALTER DATABASE {database} SET {setting}")
    service = replica(tmp_path, server, database)
    with pytest.raises(NotStarted, match=setting), service:
        pass


def test_a_database_that_stops_being_durable_while_the_service_runs_gets_no_new_connection(
    tmp_path: Path, server: PostgresServer
) -> None:
    database = server.new_database()
    with replica(tmp_path, server, database) as service:
        assert service.postback("durable").outcome == "stored"
        server.sql(f"ALTER DATABASE {database} SET synchronous_commit = off")
        server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'postback'")
        assert service.postback("not-durable").status == 503
        server.sql(f"ALTER DATABASE {database} RESET synchronous_commit")
        assert service.postback("durable-again").outcome == "stored"
