"""`doctor` finds what breaks "one postback, one verdict" if it is planted by hand, and nothing in healthy databases."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import NamedTuple

import pytest

from tests.support.outside.examined_service import back_up
from tests.support.outside.examining import Command, Examined, Run
from tests.support.outside.harness import migrate, wait_for
from tests.support.outside.mixed_rows import change, fill
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.proof]

# What the statements have in common: $NAME stands for it.
WORDS = {
    "KEY": "sender, is_test, click_id, goal, transaction_id",
    "AMOUNT": "value, value_micros, currency, params, received_at",
    "LIFE": "WHERE click_id = 'life' AND is_test = FALSE",
    "LONG_AGO": "'2020-01-01 00:00:00.000000'",
    "LATER": "'2020-01-02 00:00:00.000000'",
    "FUTURE": "'2099-01-01 00:00:00.000000'",
    "TEST_KEY": "GET /postback?c=real&value=3.50\r\ncontent-type: \r\nx-test-key: true\r\n\r\n",
    "NEWEST": "(SELECT max(received_at) FROM conversion)",
    "HASH": hashlib.sha256(b"life").hexdigest(),
}


class Plant(NamedTuple):
    """Statements, and the checks that are wrong and that warn after them, besides what warns before."""

    statements: tuple[str, ...]
    wrong: set[str]
    warning: frozenset[str] = frozenset()

    def put(self, url: str) -> None:
        """Plant it in a database."""
        change(url, *(Template(statement).substitute(WORDS) for statement in self.statements))


TOGETHER = ("histories", "order", "replays", "tests_apart", "refused_batches")
EARLY_DUPLICATE = "UPDATE duplicate SET received_at = $LONG_AGO $LIFE"
PLANTS = {
    "a repeat that has a row of its own": Plant(
        (
            """INSERT INTO duplicate ($KEY, received_at, request_id, door)
            SELECT $KEY, received_at, request_id, door FROM conversion $LIFE""",
        ),
        {"one_outcome"},
    ),
    "refunded, in quarantine and applied": Plant(
        (
            """INSERT INTO rejected_postback (received_at, door, sender, outcome, detail, click_id, raw, request_id)
            SELECT received_at, door, sender, 'illegal_transition', '', click_id, CAST('' AS BLOB), request_id
            FROM status_change $LIFE AND number = 2""",
        ),
        {"one_outcome"},
    ),
    "a row of a file under two policies": Plant(
        (
            """INSERT INTO conversion ($KEY, $AMOUNT, request_id, door)
            SELECT sender, is_test, click_id, goal, 'other', $AMOUNT, request_id, door FROM conversion
            WHERE door = 'import'""",
        ),
        {"one_outcome"},
    ),
    "a conversion that retention took": Plant(("DELETE FROM conversion $LIFE",), {"orphans"}),
    "what an erasure left": Plant(
        (
            """INSERT INTO deletion (run, table_name, reason, outcome, process, rows, deleted_by, click_id_sha256,
            first_received_at, last_received_at, deleted_at)
            VALUES ('planted', 'conversion', 'erase', 'stored', '', 1, 'me', '$HASH', $NEWEST, $NEWEST, $NEWEST)""",
        ),
        {"erased_rows"},
    ),
    "an erasure of tomorrow": Plant(
        (
            """INSERT INTO deletion (run, table_name, reason, outcome, process, rows, deleted_by, click_id_sha256,
            first_received_at, last_received_at, deleted_at)
            VALUES ('planted', 'conversion', 'erase', 'stored', '', 1, 'me', '$HASH', $NEWEST, $NEWEST, $FUTURE)""",
        ),
        {"future_erasures"},
    ),
    "an inherited status": Plant(("UPDATE status_change SET received_at = $LONG_AGO $LIFE",), {"order"}),
    "an inherited duplicate": Plant((EARLY_DUPLICATE,), {"order"}),
    "an inherited conflict": Plant(
        ("UPDATE rejected_postback SET received_at = $LONG_AGO WHERE outcome = 'conflict'",), {"order"}
    ),
    "a status that was drained after its successor": Plant(
        ("UPDATE rejected_postback SET received_at = $LONG_AGO WHERE outcome = 'illegal_transition'",), {"order"}
    ),
    "changes that were turned round": Plant(
        (
            "UPDATE conversion SET received_at = $LONG_AGO $LIFE",
            "UPDATE status_change SET received_at = $LONG_AGO $LIFE AND number = 2",
            "UPDATE status_change SET received_at = $LATER $LIFE AND number = 1",
        ),
        {"order"},
    ),
    "two spools without an order": Plant(
        (EARLY_DUPLICATE, "UPDATE duplicate SET drained_at = received_at $LIFE"), set(), frozenset({"order"})
    ),
    "part of a refused batch": Plant(
        (
            """INSERT INTO conversion ($KEY, $AMOUNT, request_id, door)
            SELECT sender, is_test, 'row-3', goal, transaction_id, $AMOUNT, (SELECT max(request_id)
            FROM rejected_postback WHERE door = 'batch' AND length(request_id) = 32) || '-1', 'batch'
            FROM conversion $LIFE""",
        ),
        {"refused_batches"},
    ),
    "a gap in a history": Plant(("DELETE FROM status_change $LIFE AND number = 1",), {"histories"}),
    "a change that changes nothing": Plant(
        ("UPDATE status_change SET conversion_status = 'approved' $LIFE AND number = 2",), {"histories"}
    ),
    "a status that may not follow": Plant(
        ("UPDATE conversion SET conversion_status = 'refunded' $LIFE",), {"histories"}
    ),
    "a replay that was judged twice": Plant(
        ("UPDATE replay SET outcome = 'duplicate' WHERE outcome = 'stored'",), {"replays"}
    ),
    "a replay that its input's row tells otherwise": Plant(
        ("UPDATE rejected_postback SET replay_outcome = 'duplicate' WHERE replay_outcome = 'stored'",), {"replays"}
    ),
    "a replayed test that counts": Plant(
        ("UPDATE conversion SET is_test = FALSE WHERE click_id = 'late'",), {"tests_apart"}
    ),
    "a replayed input of a test key that counts": Plant(
        ("UPDATE rejected_postback SET raw = CAST('$TEST_KEY' AS BLOB) WHERE click_id = 'real'",),
        {"tests_apart"},
    ),
    "a test that said so twice and counts": Plant(
        ("""UPDATE conversion SET params = '{"test": ["0", "1"]}' WHERE click_id = 'row-1'""",), {"tests_apart"}
    ),
    "a time of the year 1": Plant(
        ("UPDATE conversion SET received_at = '0001-01-01 00:00:00.000000' WHERE click_id = 'row-1'",), {"times"}
    ),
    "a row of tomorrow": Plant(
        ("UPDATE conversion SET received_at = $FUTURE WHERE click_id = 'row-1'",), {"future_rows"}
    ),
    "a clock 30 days ahead": Plant(("UPDATE trusted_clock SET trusted_at = $LONG_AGO",), {"retention_clock"}),
    "a clock that was set back": Plant(
        ("UPDATE trusted_clock SET trusted_at = $FUTURE",), set(), frozenset({"retention_clock"})
    ),
    "a table without its key": Plant(
        (
            "CREATE TABLE copy AS SELECT * FROM conversion",
            "INSERT INTO copy SELECT * FROM conversion WHERE click_id = 'row-1'",
            "DROP TABLE conversion",
            "ALTER TABLE copy RENAME TO conversion",
        ),
        {"schema", "repeated_keys", "one_outcome"},
    ),
}
ON_SPOOL = {
    "the journals of another database": Plant(("UPDATE database_identity SET identity = 'x'",), {"spool_database"})
}
CASES = [("sqlite", name) for name in PLANTS] + [("postgres", name) for name in PLANTS | ON_SPOOL]


@dataclass(frozen=True)
class Planted:
    """What doctor said beside the healthy service, of the healthy database, and of each copy with something planted."""

    served: Examined
    healthy: Examined
    after: dict[str, Examined]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Start a server of these tests' own: it goes away for a while."""
    with PostgresServer() as started:
        yield started


@pytest.fixture(scope="module")
def sqlite(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Plant each state in a copy of a file."""
    directory = tmp_path_factory.mktemp("sqlite")
    url = f"sqlite:///{directory / 'p.db'}"
    with fill(directory, url, None)() as service:
        assert service.postback("life", "9").outcome == "duplicate"
        served = command.beside(service)
    healthy = back_up(service, directory / "healthy.db")
    runs: dict[str, Run] = {"healthy": _run(directory, f"sqlite:///{healthy}")}
    for number, (name, plant) in enumerate(PLANTS.items()):
        copy = directory / f"{number}.db"
        copy.write_bytes(healthy.read_bytes())
        plant.put(f"sqlite:///{copy}")
        runs[name] = _run(directory, f"sqlite:///{copy}")
    after = command.together(runs)
    return Planted(served, after.pop("healthy"), after)


@pytest.fixture(scope="module")
def postgres(command: Command, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Plant each state in a copy of a database."""
    directory = tmp_path_factory.mktemp("postgres")
    filled = server.new_database()
    migrate(directory, server.url(filled))
    with fill(directory, server.url(filled), server)() as service:
        assert service.postback("life", "9").outcome == "duplicate"
        served = command.beside(service, POSTBACK_SPOOL_DIR=str(directory / "spool"))
    wait_for(lambda: not server.sql("SELECT 1 FROM pg_stat_activity WHERE datname = %s", filled) or None, 30)
    runs = {"healthy": _run(directory, server.url(filled))}
    for name, plant in (PLANTS | ON_SPOOL).items():
        url = server.url(server.new_database(filled))
        plant.put(url)
        runs[name] = _run(directory, url)
    after = command.together(runs)
    return Planted(served, after.pop("healthy"), after)


def _run(directory: Path, url: str) -> Run:
    settings = {"POSTBACK_DATABASE_URL": url, "POSTBACK_SPOOL_DIR": str(directory / "spool")}
    return directory, ("--offline", "--json"), settings


@pytest.fixture
def planted(request: pytest.FixtureRequest) -> Planted:
    """Give what was planted in the engine of this name."""
    found: Planted = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(("planted", "name"), CASES, indirect=["planted"])
def test_what_was_planted_is_found_and_nothing_else(planted: Planted, name: str) -> None:
    plant = (PLANTS | ON_SPOOL)[name]
    examined = planted.after[name]
    assert (examined.named("wrong"), examined.err) == (plant.wrong, "")
    assert examined.named("warning") - planted.healthy.named("warning") == plant.warning
    assert all(check["advice"] for check in examined.report["checks"] if check["state"] in ("wrong", "warning"))


@pytest.mark.parametrize(
    ("planted", "replication"), [("sqlite", set()), ("postgres", {"replication"})], indirect=["planted"]
)
def test_a_healthy_database_with_rows_of_every_kind_has_none_of_it(planted: Planted, replication: set[str]) -> None:
    rows = planted.healthy.report["rows"]
    assert set(rows) > {"stored", "updated", "duplicate", "conflict", "illegal_transition", "invalid_value"}
    for examined in (planted.served, planted.healthy):
        assert (examined.named("wrong"), examined.named("warning"), examined.err) == (set(), replication, "")
        assert {examined.check(name)[0] for name in TOGETHER} == {"ok"}


def test_a_restore_that_was_cut_off_is_found(command: Command, sqlite: Planted, tmp_path: Path) -> None:
    assert sqlite.healthy.check("database_file")[0] == "ok"
    (tmp_path / "p.db").touch()
    (tmp_path / "p.db.restoring").write_text("the old file has moved\n")
    examined = command(tmp_path, "--offline", "--json", POSTBACK_DATABASE_URL=f"sqlite:///{tmp_path / 'p.db'}")
    state, sentence = examined.check("database_file")
    assert (examined.code, state) == (1, "wrong")
    assert "was cut off: give it again" in sentence
