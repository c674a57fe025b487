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
    """Send garbage on four connections: known senders', or a stranger's."""

    def press(part: int) -> None:
        with Wire(service.public) as wire:
            for number in range(part, FLOOD, 4):
                target = f"/postback?c={name}-{number}&value=garbage&x={GARBAGE}"
                answer = wire.exchange(request(target, headers=STRANGER if name == "stranger" else {}))
                assert answer.outcome == ("unauthenticated" if name == "stranger" else "invalid_value")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(press, range(4)))


def within_the_bound(service: Service) -> bool:
    return service.sql(f"SELECT sum(bytes) <= {BOUND} FROM quarantine_share") == [(True,)]  # noqa: S608 - a number


def at_rest(service: Service) -> bool:
    """Tell whether a tenth of the room of known senders is free: then a round of deleting ends."""
    known = f"SELECT sum(bytes) <= {0.9 * 0.9 * BOUND} FROM quarantine_share WHERE share <> ''"  # noqa: S608 - a number
    return service.sql(known) == [(True,)]


def test_a_flood_stays_within_its_bound_and_the_books_are_exact(bounded: Service, tmp_path: Path) -> None:
    for number in range(20):
        assert bounded.postback(f"paid-{number}").outcome == "stored"
        assert bounded.postback(f"paid-{number}").outcome == "duplicate"
    assert bounded.postback("paid-1", "7").outcome == "conflict"
    assert bounded.get("/postback?c=mended&value=1,50").outcome == "invalid_value"
    flood(bounded, "stranger")
    kept = "SELECT count(*) FROM rejected_postback WHERE sender IS NULL"
    strangers = int(str(bounded.sql(kept)[0][0]))
    assert 0 < strangers < FLOOD / 10
    assert bounded.metrics().by_label("postback_not_kept_total", "reason") == {"sampled": FLOOD - strangers}
    flood(bounded, "known")
    wait_for(lambda: at_rest(bounded), LOOK_SECONDS, every=0.1)
    assert within_the_bound(bounded)
    assert bounded.sql("SELECT (SELECT count(*) FROM conversion), (SELECT count(*) FROM duplicate)") == [(20, 20)]
    assert bounded.sql(kept) == [(strangers,)]
    deleted = wait_for(lambda: counted(bounded), LOOK_SECONDS)
    assert deleted.keys() == {"size_known"}
    left = int(str(bounded.sql("SELECT count(*) FROM rejected_postback")[0][0]))
    assert left + deleted["size_known"] == 2 + FLOOD + strangers
    assert bounded.sql("SELECT sum(rows) FROM deletion WHERE reason = 'not_kept'") == [(FLOOD - strangers,)]
    assert bounded.metrics().by_label("postback_conservation_drift", "check") == {}
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert examined.named("wrong") == set()
    state, sentence = examined.check("rows_counted")
    assert state == "ok"
    assert f"less {deleted['size_known']:.0f} that were deleted" in sentence
    change(bounded, "UPDATE deletion SET rows = rows - 1 WHERE reason = 'not_kept'")
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert "unauthenticated: 1 answered, and not in the tables" in examined.check("outcomes_counted")[1]
    change(bounded, "DELETE FROM rejected_postback WHERE id = (SELECT max(id) FROM rejected_postback)")
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert examined.named("wrong") >= {"rows_counted", "outcomes_counted"}


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
    noted = service.sql("SELECT coalesce(sum(rows), 0) FROM deletion WHERE reason <> 'not_kept'")[0][0]
    return found if sum(found.values()) == noted else {}
