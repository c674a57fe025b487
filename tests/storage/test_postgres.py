"""What only PostgreSQL's ledger can do: which servers and URLs it takes, and how it asks them."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import LiteralString

import pytest

from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageError
from service.storage.location import PostgresServer as Place
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.database import PostgresDatabase
from service.storage.postgres.ledger import PostgresLedger
from service.storage.postgres.server import ServerConnection, conninfo
from service.storage.postgres.statements import statements
from service.storage.postgres.wait_mode import run_sync
from tests.support import builders
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.postgres_ledger import at, backends, opened, outcomes, refused, set_for_database, terminate

# What is refused


@pytest.mark.parametrize(
    ("setting", "value", "kind"),
    [
        ("synchronous_commit", "off", "PG_NOT_DURABLE"),
        ("default_transaction_read_only", "on", "PG_READ_ONLY"),
    ],
)
def test_a_server_whose_200_would_be_no_receipt_is_refused(
    postgres_url: str, setting: str, value: str, kind: str
) -> None:
    with set_for_database(postgres_url, setting, value):
        assert refused(postgres_url) == kind
    with opened(postgres_url) as ledger:
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


@pytest.mark.usefixtures("both_ways")
def test_every_new_connection_is_examined_again(postgres_url: str) -> None:
    with opened(postgres_url) as ledger:
        with set_for_database(postgres_url, "synchronous_commit", "off"):
            terminate(postgres_url)
            with pytest.raises(StorageError) as raised:
                ledger.commit([builders.postback()])
            assert raised.value.kind == ErrorKind.PG_NOT_DURABLE
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


def test_a_database_in_another_encoding_is_refused(server: PostgresServer) -> None:
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StorageError, match="LATIN1"), opened(server.url("latin")):
        pass


def test_a_database_that_was_not_migrated_is_refused_and_the_connection_closed(server: PostgresServer) -> None:
    url = server.url(server.new_database())
    with pytest.raises(StorageError, match="migrate up"), opened(url):
        pass
    assert backends(url) == []


def test_a_password_is_in_no_error_and_in_no_name(server: PostgresServer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    place = at(f"postgresql://receiver:planted-secret@127.0.0.1:{port},127.0.0.1:{server.port}/nowhere")
    with pytest.raises(StorageError) as raised:
        PostgresLedger(place, PostgresDatabase(place).migrations()).open()
    told = f"{raised.value} {raised.value.__cause__!r} {place!r} {place.name}"
    assert "planted-secret" not in told
    assert str(port) in told
    assert "\n" not in str(raised.value)


# URLs


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_usual_schemes_are_understood(postgres_url: str, scheme: str) -> None:
    with opened(postgres_url.replace("postgresql", scheme, 1)) as ledger:
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


def test_of_several_hosts_the_one_that_takes_writes_is_used(postgres_url: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        dead = taken.getsockname()[1]
    url = postgres_url.replace("@127.0.0.1", f"@127.0.0.1:{dead},127.0.0.1", 1)
    assert "target_session_attrs=read-write" in conninfo(at(url))
    with opened(url) as ledger:
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


def test_what_the_url_says_wins_over_our_defaults() -> None:
    told = conninfo(at("postgresql://h1,h2/d?connect_timeout=7&target_session_attrs=any"))
    assert "connect_timeout=7" in told
    assert "target_session_attrs=any" in told


@pytest.mark.usefixtures("both_ways")
def test_a_database_that_serialises_by_default_is_served_too(postgres_url: str) -> None:
    with (
        set_for_database(postgres_url, "default_transaction_isolation", "serializable"),
        opened(postgres_url) as ledger,
    ):
        batch = [builders.postback(query) for query in ("c=a&value=1", "c=a&value=1", "c=a&value=2")]
        assert outcomes(ledger, *batch) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT]


def test_a_schema_beside_public_is_served_too(server: PostgresServer) -> None:
    """Managed servers give a schema of one's own: the search path says which."""
    name = server.new_database()
    server.sql("CREATE SCHEMA ours", database=name)
    server.sql(f"ALTER DATABASE {name} SET search_path = ours")
    PostgresDatabase(at(server.url(name))).migrations().up()
    with opened(server.url(name)) as ledger:
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]
    assert server.sql("SELECT count(*) FROM ours.conversion", database=name) == [(1,)]


@contextmanager
def watched(url: str) -> Iterator[tuple[PostgresLedger, list[AsyncServerConnection]]]:
    """Open a ledger; give also the connections that it made."""
    connections: list[AsyncServerConnection] = []

    def connect(place: Place) -> AsyncServerConnection:
        connections.append(AsyncServerConnection.to(place))
        return connections[-1]

    with opened(url, connect) as ledger:
        yield ledger, connections


async def asked(connection: AsyncServerConnection, question: LiteralString) -> list[tuple[object, ...]]:
    return await (await connection.execute(question)).fetchall()


def test_what_only_inserts_is_prepared_once_and_what_reads_is_planned_each_time(postgres_url: str) -> None:
    """A plan made while the table was small would be kept for questions: an insert has no choice to make."""
    with watched(postgres_url) as (ledger, connections):
        for number in range(3):
            for value in ("1", "1", "2"):  # stored, duplicate, conflict
                ledger.commit([builders.postback(f"c=click-{number}&value={value}")])
        prepared = run_sync(asked(connections[0], "SELECT statement FROM pg_prepared_statements"))
    assert {" ".join(str(statement).split()[:3]) for (statement,) in prepared} == {
        "WITH arrived AS",
        "WITH new_duplicate AS",
        "WITH new_rejected_postback AS",
    }


def test_a_prepared_insertion_outlives_a_migration_beside_it(postgres_url: str) -> None:
    with watched(postgres_url) as (ledger, connections):
        assert outcomes(ledger, builders.postback("c=before&value=1")) == [Outcome.STORED]
        run_sql(postgres_url, "ALTER TABLE conversion ADD COLUMN later text, ALTER COLUMN sender TYPE varchar(255)")
        assert outcomes(ledger, builders.postback("c=after&value=1")) == [Outcome.STORED]
        assert len(connections) == 1  # it was no error that a new try hid
    assert run_sql(postgres_url, "SELECT count(*) FROM conversion") == [(2,)]


def test_the_lookup_of_winners_uses_the_primary_key(postgres_url: str) -> None:
    with ServerConnection.to(at(postgres_url)) as connection:
        connection.execute(
            "INSERT INTO conversion SELECT 'ezmob', false, n::text, '', '', '1', 1, NULL, '{}', now(), n::text, ''"
            " FROM generate_series(1, 50000) AS n"
        )
        connection.execute("ANALYZE conversion")
        keys = [["ezmob"] * 100, [False] * 100, [str(n) for n in range(100)], [""] * 100, [""] * 100]
        plan = "\n".join(str(row[0]) for row in connection.execute(b"EXPLAIN " + statements().winners, keys))
    assert "conversion_pkey" in plan
    assert "Seq Scan" not in plan
