"""Retention's clock from outside, on both engines: a start with a clock that is far ahead deletes nothing.

The clock stays as it is. What the database knows of earlier days is moved back, which is the same.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, wait_for
from tests.support.outside.postgres import PostgresServer, run_sql

pytestmark = [pytest.mark.system, pytest.mark.proof]

LOOK_SECONDS = 30.0  # in which a look must have come, on a busy machine
LONG_AGO = (datetime.now(UTC) - timedelta(days=500)).strftime("%Y-%m-%d %H:%M:%S.%f")
ALL = "SELECT (SELECT count(*) FROM conversion), (SELECT count(*) FROM rejected_postback)"


@pytest.fixture(params=["sqlite", "postgres"])
def stopped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Give a service that ran 500 days ago, and is to keep conversions for a year."""
    settings = {"CONVERSION_DAYS": "365"}
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("server")
        settings |= {"DATABASE_URL": server.url(server.new_database()), "MIGRATE": "true"}
    with Service(tmp_path, settings) as service:
        assert service.postback("paid").outcome == "stored"
        assert service.get("/postback?c=unpaid&value=x").outcome == "invalid_value"
        service.terminate()
        for table, column in (
            ("conversion", "received_at"),
            ("rejected_postback", "received_at"),
            ("write_probe", "probed_at"),
        ):
            change(service, f"UPDATE {table} SET {column} = '{LONG_AGO}'")  # noqa: S608 - our own names
        yield service


def change(service: Service, statement: str) -> None:
    """Change the tables behind the service's back."""
    if not service.database_url.startswith("sqlite"):
        run_sql(service.database_url, f"SET TIME ZONE 'UTC'; {statement}")
        return
    with closing(sqlite3.connect(service.database)) as connection, connection:
        connection.execute(statement)


def suspect(service: Service) -> bool:
    return service.metrics().total("postback_retention_clock_suspect") == 1


def test_nothing_is_deleted_until_a_person_accepts_the_clock(stopped: Service, tmp_path: Path) -> None:
    change(stopped, "DELETE FROM trusted_clock")  # an older version notes none: the newest row tells
    with stopped as service:
        wait_for(lambda: suspect(service), LOOK_SECONDS)
        assert service.postback("today").outcome == "stored"
        assert service.sql(ALL) == [(2, 1)]
        examined = plainly(tmp_path, "--json", **settings_of(service))
        assert examined.code == 1
        state, sentence = examined.check("retention_clock")
        assert (state, sentence.startswith("nothing is deleted")) == ("wrong", True)
        accepted = plainly(tmp_path, "--json", "--accept-clock", **settings_of(service))
        assert (accepted.code, accepted.check("retention_clock")[0]) == (0, "ok")
        wait_for(lambda: service.sql(ALL) == [(1, 0)], LOOK_SECONDS)
        wait_for(lambda: not suspect(service), LOOK_SECONDS)
        (line,) = (one for one in service.log_lines() if one["event"] == "retention_clock_suspect")
        assert line["level"] == "warning"
