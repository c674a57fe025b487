"""`doctor` examines a file that nobody serves, and finds each ruin of it by its own line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.examined_service import COMPARED, PROCESS, PUBLIC, back_up, change
from tests.support.outside.examining import Command, Examined, Run, plainly
from tests.support.outside.harness import Service, read_database

pytestmark = [pytest.mark.system, pytest.mark.proof]


@pytest.fixture(scope="module")
def stopped(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the database to where nobody serves it."""
    return back_up(running, tmp_path_factory.mktemp("stopped") / "p.db")


def age(path: Path) -> None:
    change(path, "UPDATE alembic_version SET version_num = '0000'")


def damage(path: Path) -> None:
    """Overwrite the page of an index: tables can still be read."""
    root = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_duplicate_click_id'"
    ((page,),) = read_database(path, root)
    with path.open("r+b") as file:
        file.seek((int(str(page)) - 1) * 4096)
        file.write(b"\xff" * 4096)


def change_by_hand(path: Path) -> None:
    change(path, "DELETE FROM conversion WHERE click_id = 'a'")
    change(path, "UPDATE duplicate SET request_id = (SELECT max(request_id) FROM conversion)")
    change(path, "UPDATE rejected_postback SET outcome = 'lost' WHERE outcome = 'invalid_value'")
    change(path, "ALTER TABLE conversion ADD COLUMN note")
    change(path, "PRAGMA journal_mode=DELETE")


def forbid_writing(path: Path) -> None:
    path.chmod(0o444)


def replace(path: Path) -> None:
    path.write_bytes(b"long enough to be read as a header" * 99)


BY_HAND = {"orphans", "one_outcome", "known_outcomes", "schema", "journal_mode"}
FILE = {"journal_mode", "schema_version", "schema", "integrity"}
ROWS = {"rows_counted", "outcomes_counted", "foreign_rows", "future_rows", "times", "known_outcomes", "disk_lasts"}
LAWS = {"orphans", "repeated_keys", "one_outcome"}
TOGETHER = {"histories", "order", "replays", "tests_apart", "refused_batches"}
UNREADABLE = (
    FILE
    | ROWS
    | LAWS
    | TOGETHER
    | {"keys_expiring", "keys_unused", "erased_rows", "future_erasures", "retention_clock"}
)


RUINS = (age, damage, change_by_hand, forbid_writing, replace, Path.unlink)


@pytest.fixture(scope="module")
def ruined(command: Command, stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examined]:
    """Examine a copy of the file for each ruin."""
    runs: dict[str, Run] = {}
    for ruin in RUINS:
        database = tmp_path_factory.mktemp(ruin.__name__) / "p.db"
        database.write_bytes(stopped.read_bytes())
        ruin(database)
        settings = {"POSTBACK_DATABASE_URL": f"sqlite:///{database}"}
        runs[ruin.__name__] = (database.parent, ("--offline", "--json"), settings)
    return command.together(runs)


@pytest.mark.parametrize(
    ("ruin", "wrong", "sentence"),
    [
        (age, {"schema_version"}, "the schema is at 0000, which this code (0011) does not know"),
        (damage, {"integrity"}, "btreeInitPage() returns error code 11"),
        (change_by_hand, BY_HAND, "1 rows of duplicate belong to a conversion that is gone"),
        (forbid_writing, {"database_file"}, "it or its folder is read-only, even for the owner"),
        (replace, UNREADABLE, "SQLITE_NOTADB"),
        (Path.unlink, {"database_file"}, "there is no database at"),
    ],
)
def test_what_is_wrong_with_a_file_is_found_without_the_service(
    ruined: dict[str, Examined], ruin: Callable[[Path], None], wrong: set[str], sentence: str
) -> None:
    examined = ruined[ruin.__name__]
    assert (examined.code, examined.named("wrong"), examined.err) == (1, wrong, "")
    assert any(sentence in check["sentence"] for check in examined.report["checks"] if check["state"] == "wrong")


def test_a_service_that_is_down_is_wrong_unless_it_is_meant_to_be(command: Command, stopped: Path) -> None:
    settings = {
        "POSTBACK_PORT": "1",
        "POSTBACK_OPERATOR_PORT": "1",
        "POSTBACK_DATABASE_URL": f"sqlite:///{stopped}",
    }
    missed = command(stopped.parent, "--json", **settings)
    assert (missed.code, missed.named("wrong")) == (1, {"operator", "public_connection"})
    assert missed.named("not_checked") >= COMPARED
    meant = command(stopped.parent, "--offline", "--json", **settings)
    assert (meant.named("wrong"), meant.named("warning")) == (set(), set())
    assert meant.named("not_checked") >= COMPARED | PUBLIC | PROCESS


def test_a_person_reads_one_line_for_each_check_with_what_to_do_below(stopped: Path) -> None:
    told = plainly(stopped.parent, "--offline", POSTBACK_DATABASE_URL=f"sqlite:///{stopped.with_name('none.db')}")
    lines = told.out.splitlines()
    assert any(re.match(r"wrong +database_file +there is no database at ", line) for line in lines)
    assert any(re.match(r" +→ Start the service once", line) for line in lines)
    assert lines[-1].startswith("Something is wrong: ")
    assert "\x1b" not in told.out
