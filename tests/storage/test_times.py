"""A time that no door takes any more, because an older version took it: reads go on, and doctor names it."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from service.core.outcome import Outcome
from service.storage.audit import Window
from service.storage.erasure import Whose
from service.storage.ledger import Ledger
from service.storage.postgres.database import PostgresDatabase
from service.storage.postgres.server import ServerConnection, engine_of, pooled_engine
from service.storage.reads.conversions import Wanted
from service.storage.reads.quarantine import Chosen
from tests.support import builders
from tests.support.engines import Engine
from tests.support.postgres_ledger import at, set_for_database

WEST = "'America/New_York'"
ANCIENT = datetime(1, 1, 1, tzinfo=UTC)
OF_SQL = "'0001-01-01 00:00:00.000000{}'"
ASKED = "SELECT current_setting('TimeZone')"


def test_every_connection_is_in_utc_whatever_the_server_the_database_and_the_url_say(postgres_url: str) -> None:
    place = at(f"{postgres_url}?options=-c%20TimeZone%3DAmerica/New_York")
    with set_for_database(postgres_url, "timezone", WEST), closing(PostgresDatabase(place)) as database:
        with closing(ServerConnection.to(place)) as connection:  # the ledger's, and that of a copy
            assert connection.execute(ASKED).fetchone() == ("UTC",)
        for engine in (engine_of(place, writes=True), pooled_engine(place)):  # of migrations, of pools
            with engine.connect() as pooled:
                assert zone(pooled) == "UTC"
            engine.dispose()
        with database.audit() as audit:
            assert audit.rows(ASKED) == [("UTC",)]


def zone(connection: Connection) -> object:
    return connection.exec_driver_sql(ASKED).scalar()


@pytest.fixture
def ancient(engine: Engine, ledger: Ledger) -> Engine:
    """Hold rows of the year 1, as an older version imported them."""
    first, change = (builders.postback(f"c=a&value=1&conversion_status={status}") for status in ("pending", "approved"))
    ledger.commit([first, change, first._replace(raw=builders.raw()), builders.rejection(Outcome.INVALID_VALUE, "a")])
    moment = OF_SQL.format("" if engine.kind == "sqlite" else "+00")
    for table in ("conversion", "status_change", "duplicate", "rejected_postback"):
        engine.change(f"UPDATE {table} SET received_at = {moment}")  # noqa: S608 - our own names
    return engine


READS: dict[str, Callable[[Engine], object]] = {
    "lookup": lambda engine: [it.received_at for it in engine.database.history().arrivals("a")],
    "export": lambda engine: [it.received_at for page in engine.database.conversions().pages(Wanted()) for it in page],
    "rejected": lambda engine: [it.received_at for it in engine.database.quarantine().newest(Chosen(), 9)],
    "erase": lambda engine: [it.received_at for it in engine.database.erasure().find(Whose(("a",)), lambda _: None)],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_row_of_the_year_1_makes_no_read_fail(ancient: Engine, read: Callable[[Engine], list[datetime]]) -> None:
    if ancient.kind == "sqlite":
        assert set(read(ancient)) == {ANCIENT}
        return
    with set_for_database(ancient.url, "timezone", WEST):
        ancient.database.close()  # what was connected before
        assert set(read(ancient)) == {ANCIENT}


def test_doctor_counts_and_names_them(ancient: Engine, ledger: Ledger) -> None:
    ledger.commit([builders.postback("c=b&value=1")])
    with ancient.database.audit() as audit:
        counts = audit.counts(Window("", builders.RECEIVED_AT, builders.RECEIVED_AT))
        assert {outcome: (found.rows, found.out_of_bounds) for outcome, found in counts.items()} == {
            "stored": (2, 1),
            "updated": (1, 1),
            "duplicate": (1, 1),
            "invalid_value": (1, 1),
        }
        (request_id,) = audit.out_of_bounds("conversion", 9)
        assert [(request_id,)] == ancient.rows("SELECT request_id FROM conversion WHERE click_id = 'a'")
        assert audit.out_of_bounds("conversion", 0) == []
