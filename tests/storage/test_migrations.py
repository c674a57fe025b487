"""The migrations, on every engine: the schema they build is the declared one; who may run on which; once, and back."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine as Connector
from sqlmodel import SQLModel

from service.core.unavailable import StorageError
from service.storage import migrations as history
from service.storage.database import database_at
from service.storage.location import PostgresServer as Place
from service.storage.location import location_of
from service.storage.migrations import newest_version
from service.storage.migrations.online import LOCK_SECONDS
from service.storage.postgres.server import engine_of
from service.storage.sqlite.file import migrating_engine
from tests.support.engines import Engine
from tests.support.outside.postgres import PostgresServer, run_sql


def connector(url: str) -> Connector:
    place = location_of(url)
    return engine_of(place) if isinstance(place, Place) else migrating_engine(place.path)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.processes)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Give an empty database of each engine."""
    if request.param == "sqlite":
        return Engine(f"sqlite:///{tmp_path / 'p.db'}")
    server: PostgresServer = request.getfixturevalue("server")
    return Engine(server.url(server.new_database()))


def differences(url: str) -> list[object]:
    with connector(url).connect() as connection:
        opts = {"compare_type": True, "compare_server_default": not url.startswith("sqlite")}  # it has no IDENTITY
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, SQLModel.metadata))


def test_the_migrated_schema_is_the_declared_schema(empty: Engine) -> None:
    empty.database.migrations().up()
    assert differences(empty.url) == []


def test_the_comparison_would_see_a_difference(empty: Engine) -> None:
    assert len(differences(empty.url)) >= len(SQLModel.metadata.tables) > 0


def test_each_version_is_in_a_file_that_is_named_for_it(tmp_path: Path) -> None:
    """A serving process knows the versions by these names, and a person by the sentences, without Alembic."""
    versions = list(ScriptDirectory(Path(history.__file__).parent).walk_revisions("base", "heads"))[::-1]
    assert [Path(version.path).name[:6] for version in versions] == [f"v{version.revision}_" for version in versions]
    pending = database_at(f"sqlite:///{tmp_path / 'p.db'}").migrations().status().pending
    told = [(version.revision, version.doc.partition(": ")[2]) for version in versions]
    assert [(version.number, version.sentence) for version in pending] == told


def test_migrating_twice_changes_nothing(empty: Engine) -> None:
    migrations = empty.database.migrations()
    first = migrations.up()
    told: list[str] = []
    assert migrations.up(tell=told.append) == first
    assert told == []


def test_every_step_leads_back_and_forward_again(empty: Engine) -> None:
    migrations = empty.database.migrations()
    migrations.up()
    assert migrations.down("0001").current == "0001"
    assert len(migrations.status().pending) == int(newest_version()) - 1
    assert migrations.up().current == newest_version()
    assert migrations.down("base").current == ""
    assert migrations.up().current == newest_version()
    assert differences(empty.url) == []


def test_an_interrupted_build_of_an_index_is_no_hindrance(empty: Engine) -> None:
    migrations = empty.database.migrations()
    migrations.up("0001")
    empty.change("CREATE INDEX ix_duplicate_request_id ON duplicate (request_id)")  # as if it had not become unique
    migrations.up()
    assert differences(empty.url) == []


def test_going_to_a_version_that_is_none_is_refused(empty: Engine) -> None:
    with pytest.raises(StorageError, match="no version 7"):
        empty.database.migrations().down("7")


def test_a_newer_schema_that_only_adds_is_good_enough(empty: Engine) -> None:
    """The old version of the service runs beside the new one while replicas are replaced one by one."""
    migrations = empty.database.migrations()
    migrations.up()
    empty.change("UPDATE alembic_version SET version_num = '0999'")
    status = migrations.status()
    assert (status.refusal, status.pending, status.current) == (None, (), "0999")
    ledger = empty.database.ledger()
    ledger.open()
    ledger.close()
    assert empty.rows("SELECT version_num FROM alembic_version") == [("0999",)]


def test_a_newer_schema_that_takes_something_away_is_refused_and_left_as_it_is(empty: Engine) -> None:
    migrations = empty.database.migrations()
    migrations.up()
    empty.change("UPDATE alembic_version SET version_num = '0999'")
    empty.change("UPDATE schema_floor SET oldest_code = '0998'")
    with pytest.raises(StorageError, match="needs code of 0998 or newer"):
        empty.database.ledger().open()
    with pytest.raises(StorageError, match="cannot be migrated"):
        migrations.up()
    assert empty.rows("SELECT version_num FROM alembic_version") == [("0999",)]
    empty.change("UPDATE schema_floor SET oldest_code = '0001'")
    ledger = empty.database.ledger()
    ledger.open()  # the refusal let go of every lock
    ledger.close()


def test_a_version_that_nobody_knows_and_that_says_nothing_is_refused(empty: Engine) -> None:
    migrations = empty.database.migrations()
    migrations.up("0001")
    empty.change("UPDATE alembic_version SET version_num = 'someone'")
    assert migrations.status().refusal


def test_several_who_migrate_at_the_same_time_do_it_once(server: PostgresServer) -> None:
    url = server.url(server.new_database())
    told: list[str] = []
    with ThreadPoolExecutor(4) as four:
        ended = list(four.map(lambda _: database_at(url).migrations().up(tell=told.append), range(4)))
    assert {status.current for status in ended} == {newest_version()}
    assert len(told) == int(newest_version())


@pytest.mark.proof
def test_a_step_that_waits_for_a_table_keeps_its_writers_waiting_for_a_second_at_most(postgres_url: str) -> None:
    """Writers queue behind whoever waits for the table, so whoever waits has to give up its place again and again."""
    insert = "INSERT INTO conversion SELECT 'ezmob', false, %s, '', '', '1', 1, NULL, '{}', now(), 'x', 'postback'"
    longest = 0.0
    with psycopg.connect(postgres_url) as reader, ThreadPoolExecutor(1) as thread:
        reader.execute("SELECT count(*) FROM conversion")  # a report that takes its time
        migrating = thread.submit(Engine(postgres_url).database.migrations().down, "base")
        for number in range(4):
            time.sleep(0.4)
            started = time.monotonic()
            run_sql(f"{postgres_url}?options=-c%20lock_timeout%3D5000", insert, f"click-{number}")
            longest = max(longest, time.monotonic() - started)
        waited = not migrating.done()
        reader.rollback()
        assert migrating.result().current == ""
    assert waited
    assert 0.2 < longest < 2 * LOCK_SECONDS


def test_conversions_are_kept_in_one_tree(tmp_path: Path) -> None:
    sqlite = Engine(f"sqlite:///{tmp_path / 'p.db'}")
    sqlite.database.migrations().up()
    ((ddl,),) = sqlite.rows("SELECT sql FROM sqlite_schema WHERE name = 'conversion'")
    assert "WITHOUT ROWID" in str(ddl)


def test_texts_are_compared_byte_by_byte_on_postgresql_as_on_sqlite(postgres_url: str) -> None:
    found = Engine(postgres_url).rows("""
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'
          AND table_name <> 'alembic_version'
    """)
    assert found == []
