"""What only PostgreSQL's ledger can do or suffer: servers that go away, commits in doubt, replicas, refusals."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Entry, Probe, Winner
from service.storage.database import PostgresDatabase
from service.storage.location import PostgresServer as Place
from service.storage.location import location_of
from service.storage.postgres import ledger as postgres
from service.storage.postgres.connection import AsyncSession
from service.storage.postgres.ledger import PostgresLedger
from service.storage.postgres.server import Session, conninfo, engine_of
from service.storage.postgres.waiting import at_once
from tests.support import builders
from tests.support.engines import Engine
from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import PostgresServer, run_sql

IN_TIME = 2.0  # what a sender is promised; a batch has 1.2 s


def at(url: str) -> Place:
    place = location_of(url)
    assert isinstance(place, Place)
    return place


@contextmanager
def opened(url: str, connect: Callable[[Place], AsyncSession] = AsyncSession.to) -> Iterator[PostgresLedger]:
    ledger = PostgresLedger(at(url), PostgresDatabase(at(url)).migrations(), connect=connect)
    ledger.open()
    with closing(ledger):
        yield ledger


@pytest.fixture(params=["blocking", "on the loop"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test's commits made blocking, as commands do, and on an event loop, as the service does."""
    if request.param == "on the loop":
        monkeypatch.setattr(PostgresLedger, "commit", lambda ledger, entries: asyncio.run(ledger.commit_async(entries)))


def outcomes(ledger: PostgresLedger, *entries: Entry) -> list[Outcome]:
    return [verdict.outcome for verdict in ledger.commit(entries).verdicts]


def refused(url: str) -> str:
    with pytest.raises(StorageError) as raised, opened(url):
        pass
    return raised.value.kind


@contextmanager
def set_for_database(url: str, setting: str, value: str) -> Iterator[None]:
    """Set something for every new session of one database."""
    name = url.rpartition("/")[2]
    run_sql(url, f"ALTER DATABASE {name} SET {setting} = {value}")
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"ALTER DATABASE {name} RESET {setting}".encode())


def backends(url: str, more: str = "") -> list[int]:
    """Return the server's processes that work for the ledger."""
    statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postback'"
    return [int(str(row[0])) for row in run_sql(url, f"{statement} {more}")]


def terminate(url: str) -> None:
    for pid in backends(url):
        run_sql(url, "SELECT pg_terminate_backend(%s, 5000)", pid)


def works(ledger: PostgresLedger) -> bool:
    try:
        return outcomes(ledger, builders.postback()) != []
    except StorageError:
        return False


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


# Commits in doubt


class Losing(AsyncSession):
    """A connection that is lost after the statement named by `after` was carried out, and before it was answered."""

    after: bytes | None = None

    async def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.AsyncCursor[tuple[object, ...]]:
        """Carry it out, and lose the answer."""
        cursor: psycopg.AsyncCursor[tuple[object, ...]] = await super().execute(query, params, **options)
        if isinstance(query, bytes) and Losing.after and Losing.after in query:
            Losing.after = None
            self.pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")
        return cursor


@pytest.fixture
def losing(postgres_url: str) -> Iterator[PostgresLedger]:
    with opened(postgres_url, connect=Losing.to) as ledger:
        yield ledger
    Losing.after = None


@pytest.mark.usefixtures("both_ways")
def test_a_commit_in_doubt_is_repeated_and_finds_its_own_row(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    sent = [builders.postback(f"c={click_id}&value=1") for click_id in "ba"]
    Losing.after = b"INSERT INTO conversion"
    committed = losing.commit(sent)
    assert [verdict.outcome for verdict in committed.verdicts] == [Outcome.STORED] * 2
    assert committed.rows["conversion"] == 2  # what the lost try wrote is counted: the books must balance
    assert engine.rows("SELECT count(*) FROM conversion") == [(2,)]


@pytest.mark.usefixtures("both_ways")
def test_a_row_that_was_only_read_is_acknowledged_after_a_commit_of_its_own(
    losing: PostgresLedger, postgres_url: str
) -> None:
    """Reading waits for no standby; a later commit does, and standbys receive commits in order."""
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=before&value=1")])
    assert engine.rows("SELECT count(*) FROM write_probe") == [(0,)]
    Losing.after = b"INSERT INTO conversion"
    losing.commit([builders.postback()])
    assert engine.rows("SELECT count(*) FROM write_probe") == [(1,)]


@pytest.mark.usefixtures("both_ways")
def test_duplicates_and_rejections_in_doubt_are_kept_once(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=a&value=1")])
    batch: list[Entry] = [
        builders.postback("c=a&value=1"),
        builders.postback("c=a&value=2"),
        builders.postback("c=new&value=1"),
        builders.rejection(),
    ]
    Losing.after = b"WITH repeated"
    committed = losing.commit(batch)
    assert [verdict.outcome.value for verdict in committed.verdicts] == [
        "duplicate",
        "conflict",
        "stored",
        "invalid_value",
    ]
    assert committed.rows == {"conversion": 1, "status_change": 0, "duplicate": 1, "rejected_postback": 2}
    counted = [engine.rows(f"SELECT count(*) FROM {table}") for table in committed.rows]  # noqa: S608 - our own names
    assert counted == [[(2,)], [(0,)], [(1,)], [(2,)]]


@pytest.mark.usefixtures("both_ways")
def test_a_change_of_status_in_doubt_is_kept_once_and_counted_once(losing: PostgresLedger, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    losing.commit([builders.postback("c=a&value=1&conversion_status=pending")])
    batch = [builders.postback(f"c=a&value=1&conversion_status={status}") for status in ("approved", "refunded")]
    Losing.after = b"INSERT INTO status_change"
    committed = losing.commit(batch)
    assert [verdict.outcome for verdict in committed.verdicts] == [Outcome.UPDATED] * 2
    assert committed.rows["status_change"] == 2
    assert engine.rows("SELECT number, conversion_status FROM status_change ORDER BY 1") == [
        (1, "approved"),
        (2, "refunded"),
    ]
    assert engine.rows("SELECT count(*) FROM write_probe") == [(1,)]  # a commit of its own after what was only read


@pytest.mark.usefixtures("both_ways")
def test_a_winner_that_vanished_is_an_error_and_no_receipt(postgres_url: str) -> None:
    engine = Engine(postgres_url)
    engine.change("CREATE RULE lose AS ON INSERT TO conversion DO INSTEAD NOTHING")
    with opened(postgres_url) as ledger, pytest.raises(StorageError, match="none holds its key"):
        ledger.commit([builders.postback()])
    engine.change("DROP RULE lose ON conversion")


# Servers that go away


@pytest.mark.usefixtures("both_ways")
def test_a_connection_that_the_server_ended_is_replaced_within_the_batch(postgres_url: str) -> None:
    with opened(postgres_url) as ledger:
        for number in range(5):
            terminate(postgres_url)
            assert outcomes(ledger, builders.postback(f"c={number}&value=1")) == [Outcome.STORED]


@pytest.mark.usefixtures("both_ways")
def test_a_statement_that_somebody_cancelled_fails_and_its_connection_is_not_used_again(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        before = backends(postgres_url)
        other.execute("LOCK TABLE conversion")
        cancel = threading.Timer(0.3, lambda: run_sql(postgres_url, "SELECT pg_cancel_backend(%s)", before[0]))
        cancel.start()
        with pytest.raises(StorageError) as raised:
            ledger.commit([builders.postback()])
        cancel.join()
        assert raised.value.kind == ErrorKind.PG_TIMEOUT
        other.rollback()
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]
        assert backends(postgres_url) != before


@pytest.mark.usefixtures("both_ways")
def test_a_locked_table_is_an_error_in_time_that_leaves_nothing_waiting_and_passes(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE conversion")
        for number in range(3):
            started = time.monotonic()
            with pytest.raises(StorageError) as raised:
                ledger.commit([builders.postback(f"c=locked-{number}&value=1")])
            assert time.monotonic() - started < IN_TIME
            assert raised.value.kind == ErrorKind.PG_TIMEOUT
        deadline = time.monotonic() + IN_TIME
        while backends(postgres_url, "AND wait_event_type = 'Lock'") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert backends(postgres_url, "AND wait_event_type = 'Lock'") == []
        other.rollback()
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]


@pytest.mark.usefixtures("both_ways")
def test_a_server_that_takes_connections_and_says_nothing_is_an_error_in_time(postgres_url: str) -> None:
    """A stopped server, or a network that swallows everything."""
    place = at(postgres_url)
    with opened(postgres_url) as ledger, closing(socket.create_server(("127.0.0.1", 0))) as silent:
        terminate(postgres_url)
        working = place.parameters["port"]
        place.parameters["port"] = str(silent.getsockname()[1])  # type: ignore[index]  # it is a dict
        ledger._link._connect = lambda: AsyncSession.to(place)  # noqa: SLF001 - the server moves under the ledger
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StorageError) as raised:
                ledger.commit([builders.postback()])
            assert time.monotonic() - started < IN_TIME
            assert raised.value.kind == ErrorKind.PG_CONNECTION
        place.parameters["port"] = working  # type: ignore[index]
        assert wait_for(lambda: works(ledger), 10)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Leave garbage where it is, as the service does for minutes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def session_in_vain(place: Place) -> None:
    with pytest.raises(psycopg.OperationalError):
        Session.to(place)


def read_in_vain(place: Place) -> None:
    with pytest.raises(OperationalError):
        engine_of(place).connect()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("in_vain", [session_in_vain, read_in_vain])
def test_a_vain_attempt_leaves_no_socket_that_takes_a_place_on_the_server(in_vain: Callable[[Place], None]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        in_vain(at(f"postgresql://receiver@127.0.0.1:{silent.getsockname()[1]}/nowhere"))
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


@pytest.mark.usefixtures("both_ways")
def test_while_the_server_is_away_a_batch_is_refused_at_once(postgres_url: str) -> None:
    """Only the first tries again: a queue behind four tries a batch would be answered too late."""

    def nowhere(_: Place) -> AsyncSession:
        raise psycopg.OperationalError("connection refused")

    with opened(postgres_url) as ledger:
        terminate(postgres_url)
        ledger._link._connect = lambda: nowhere(at(postgres_url))  # noqa: SLF001 - the server goes away
        with pytest.raises(StorageError):
            ledger.commit([builders.postback()])
        started = time.monotonic()
        with pytest.raises(StorageError):
            ledger.commit([builders.postback()])
        assert time.monotonic() - started < postgres._PAUSE_SECONDS / 2  # noqa: SLF001 - no pause at all


# Replicas


@pytest.mark.usefixtures("both_ways")
def test_replicas_that_store_the_same_keys_at_the_same_time_agree_on_the_winner(postgres_url: str) -> None:
    replicas, rounds, keys = 3, 30, 20

    def replica(number: int) -> list[list[Outcome]]:
        order = range(keys) if number % 2 else range(keys - 1, -1, -1)
        with opened(postgres_url) as ledger:
            return [
                outcomes(ledger, *(builders.postback(f"c={round_}-{key}&value=1") for key in order))
                for round_ in range(rounds)
            ]

    with ThreadPoolExecutor(replicas) as pool:
        told = [outcome for replica in pool.map(replica, range(replicas)) for batch in replica for outcome in batch]
    assert told.count(Outcome.STORED) == rounds * keys
    assert told.count(Outcome.DUPLICATE) == rounds * keys * (replicas - 1)
    assert Engine(postgres_url).rows("SELECT count(*) FROM duplicate") == [(rounds * keys * (replicas - 1),)]


def test_probes_of_many_replicas_do_not_wait_for_one_row(postgres_url: str) -> None:
    with opened(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        ledger.commit([Probe(datetime.now(UTC))])
        other.execute("SELECT 1 FROM write_probe FOR UPDATE")  # a replica whose commit waits
        with opened(postgres_url) as second:
            second._probe = ledger._probe % 64 + 1  # noqa: SLF001 - chance may have given both the same
            assert outcomes(second, Probe(datetime.now(UTC))) == [Outcome.STORED]


def test_keys_are_taken_in_their_order_whatever_the_order_of_arrival(postgres_url: str) -> None:
    """Two replicas that took the same keys in opposite orders would wait for each other."""
    take = "INSERT INTO conversion SELECT 'ezmob', false, %s, '', '', '1', 1, NULL, '{}', now(), 'x', 'postback'"
    batch = [builders.postback("c=b&value=1"), builders.postback("c=a&value=1")]
    with opened(postgres_url) as ledger, ThreadPoolExecutor(1) as thread, psycopg.connect(postgres_url) as other:
        other.execute(take, ["b"])
        waiting = thread.submit(ledger.commit, batch)
        assert wait_for(lambda: backends(postgres_url, "AND wait_event_type = 'Lock'"), IN_TIME)
        with psycopg.connect(postgres_url, options="-c lock_timeout=50") as third:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                third.execute(take, ["a"])
            third.rollback()
        other.rollback()
        assert [verdict.outcome for verdict in waiting.result().verdicts] == [Outcome.STORED] * 2


def test_replicas_choose_their_probe_by_chance(postgres_url: str) -> None:
    place = at(postgres_url)
    migrations = PostgresDatabase(place).migrations()
    assert len({PostgresLedger(place, migrations)._probe for _ in range(50)}) > 10  # noqa: SLF001 - nobody sees it


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
def watched(url: str) -> Iterator[tuple[PostgresLedger, list[AsyncSession]]]:
    """Open a ledger; give also the sessions that it made."""
    sessions: list[AsyncSession] = []

    def connect(place: Place) -> AsyncSession:
        sessions.append(AsyncSession.to(place))
        return sessions[-1]

    with opened(url, connect) as ledger:
        yield ledger, sessions


async def asked(session: AsyncSession, question: LiteralString) -> list[tuple[object, ...]]:
    return await (await session.execute(question)).fetchall()


def test_what_only_inserts_is_prepared_once_and_what_reads_is_planned_each_time(postgres_url: str) -> None:
    """A plan made while the table was small would be kept for questions: an insert has no choice to make."""
    with watched(postgres_url) as (ledger, sessions):
        for number in range(3):
            for value in ("1", "1", "2"):  # stored, duplicate, conflict
                ledger.commit([builders.postback(f"c=click-{number}&value={value}")])
        prepared = at_once(asked(sessions[0], "SELECT statement FROM pg_prepared_statements"))
    assert {" ".join(str(statement).split()[:3]) for (statement,) in prepared} == {
        "INSERT INTO conversion",
        "WITH repeated AS",
    }


def test_a_prepared_insertion_outlives_a_migration_beside_it(postgres_url: str) -> None:
    with watched(postgres_url) as (ledger, sessions):
        assert outcomes(ledger, builders.postback("c=before&value=1")) == [Outcome.STORED]
        run_sql(postgres_url, "ALTER TABLE conversion ADD COLUMN later text, ALTER COLUMN sender TYPE varchar(255)")
        assert outcomes(ledger, builders.postback("c=after&value=1")) == [Outcome.STORED]
        assert len(sessions) == 1  # it was no error that a new try hid
    assert run_sql(postgres_url, "SELECT count(*) FROM conversion") == [(2,)]


def test_the_lookup_of_winners_uses_the_primary_key(postgres_url: str) -> None:
    with Session.to(at(postgres_url)) as session:
        session.execute(
            "INSERT INTO conversion SELECT 'ezmob', false, n::text, '', '', '1', 1, NULL, '{}', now(), n::text, ''"
            " FROM generate_series(1, 50000) AS n"
        )
        session.execute("ANALYZE conversion")
        keys = [["ezmob"] * 100, [False] * 100, [str(n) for n in range(100)], [""] * 100, [""] * 100]
        plan = "\n".join(str(row[0]) for row in session.execute(b"EXPLAIN " + postgres._WINNERS, keys))  # noqa: SLF001 - the plan is of this statement
    assert "conversion_pkey" in plan
    assert "Seq Scan" not in plan


@pytest.mark.usefixtures("both_ways")
def test_a_conversion_that_is_deleted_between_two_statements_is_stored_anew(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention and `erase` delete beside the service."""
    winners = postgres._winners  # noqa: SLF001 - the moment that matters is there

    async def too_late(session: AsyncSession, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
        run_sql(postgres_url, "DELETE FROM conversion WHERE request_id LIKE '0%'")
        monkeypatch.setattr(postgres, "_winners", winners)
        return await winners(session, postbacks)

    with opened(postgres_url) as ledger:
        ledger.commit([builders.postback()])
        monkeypatch.setattr(postgres, "_winners", too_late)
        assert outcomes(ledger, builders.postback()) == [Outcome.STORED]
    assert run_sql(postgres_url, "SELECT count(*) FROM conversion") == [(1,)]
