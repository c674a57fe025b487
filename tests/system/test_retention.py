"""Retention from outside, on both engines: a flood of garbage stays within its bound, and the books stay exact."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, wait_for
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.outside.wire import Wire, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

BOUND = 2**20  # the least that can be set
GARBAGE = "x" * 7_000  # 0.7 % of it
FLOOD = 400  # three times the bound, nearly
LOOK_SECONDS = 30.0  # in which a look must have come, on a busy machine
STRANGER = {"X-Forwarded-For": "192.0.2.1"}  # open mode lets in nobody who comes through a proxy


@pytest.fixture(params=["sqlite", "postgres"])
def bounded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Serve with little room for what is rejected."""
    settings = {"REJECTED_MAX_BYTES": str(BOUND), "STRANGER_RATE": "0"}
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("server")
        settings |= {"DATABASE_URL": server.url(server.new_database()), "MIGRATE": "true"}
    with Service(tmp_path, settings) as service:
        yield service


def flood(service: Service, name: str) -> None:
    """Send garbage on four connections."""

    def press(part: int) -> None:
        with Wire(service.public) as wire:
            for number in range(part, FLOOD, 4):
                answer = wire.exchange(request(f"/postback?c={name}-{number}&x={GARBAGE}", headers=STRANGER))
                assert answer.outcome == "unauthenticated"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(press, range(4)))


def within_the_bound(service: Service) -> bool:
    return service.sql(f"SELECT sum(length(raw)) <= {BOUND} FROM rejected_postback") == [(True,)]  # noqa: S608 - a number


def at_rest(service: Service) -> bool:
    """Tell whether a tenth of the room is free: then a round of deleting ends. A row counts as 500 bytes more."""
    return service.sql(f"SELECT sum(length(raw) + 500) <= {0.9 * BOUND} FROM rejected_postback") == [(True,)]  # noqa: S608


def test_a_flood_stays_within_its_bound_and_the_books_are_exact(bounded: Service, tmp_path: Path) -> None:
    for number in range(20):
        assert bounded.postback(f"paid-{number}").outcome == "stored"
        assert bounded.postback(f"paid-{number}").outcome == "duplicate"
    assert bounded.postback("paid-1", "7").outcome == "conflict"
    assert bounded.get("/postback?c=mended&value=1,50").outcome == "invalid_value"
    flood(bounded, "flood")
    assert not within_the_bound(bounded)
    wait_for(lambda: within_the_bound(bounded), LOOK_SECONDS, every=0.1)
    flood(bounded, "again")
    wait_for(lambda: at_rest(bounded), LOOK_SECONDS, every=0.1)
    assert within_the_bound(bounded)
    assert bounded.sql("SELECT (SELECT count(*) FROM conversion), (SELECT count(*) FROM duplicate)") == [(20, 20)]
    known = "SELECT outcome FROM rejected_postback WHERE sender IS NOT NULL ORDER BY id"
    assert bounded.sql(known) == [("conflict",), ("invalid_value",)]
    deleted = wait_for(lambda: counted(bounded), LOOK_SECONDS)
    assert deleted.keys() == {"size"}
    left = int(str(bounded.sql("SELECT count(*) FROM rejected_postback")[0][0]))
    assert left + deleted["size"] == 2 + 2 * FLOOD
    assert bounded.sql("SELECT sum(rows) FROM deletion") == [(deleted["size"],)]
    assert bounded.metrics().by_label("postback_conservation_drift", "check") == {}
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert examined.named("wrong") == set()
    state, sentence = examined.check("rows_counted")
    assert state == "ok"
    assert f"less {deleted['size']:.0f} that were deleted" in sentence
    change(bounded, "DELETE FROM rejected_postback WHERE outcome = 'conflict'")  # without an entry in the book
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert examined.named("wrong") >= {"rows_counted", "outcomes_counted"}
    assert "conflict: 1 answered, and not in the tables" in examined.check("outcomes_counted")[1]


def change(service: Service, statement: str) -> None:
    """Change the tables behind the service's back."""
    if not service.database_url.startswith("sqlite"):
        run_sql(service.database_url, statement)
        return
    with closing(sqlite3.connect(service.database, timeout=10)) as connection, connection:
        connection.execute(statement)


def counted(service: Service) -> dict[str, float]:
    """Return the rows deleted by reason, when the counter has caught up with the book."""
    found = service.metrics().by_label("postback_deleted_rows_total", "reason")
    noted = service.sql("SELECT coalesce(sum(rows), 0) FROM deletion")[0][0]
    return found if sum(found.values()) == noted else {}
