"""Files of ours are nobody else's to read, whatever the umask; those that were there keep their mode."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.spool.journal import Journal
from service.spool.places import journal_paths
from service.storage.database import database_at
from service.storage.sqlite.backup import back_up, restore
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders

pytestmark = pytest.mark.usefixtures("generous")


@pytest.fixture
def generous() -> Iterator[None]:
    """Take nothing away from the modes that the code asks for."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    """Return the modes of everything below a directory."""
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}


def filled(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.commit([builders.postback()])
    return ledger


def test_a_database_its_log_and_the_folders_that_are_made_for_it_are_private(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "a" / "b" / "p.db")):
        found = modes(tmp_path)
    assert found == {"a": 0o700, "a/b": 0o700, "a/b/p.db": 0o600, "a/b/p.db-wal": 0o600, "a/b/p.db-shm": 0o600}


def test_a_database_that_a_migration_makes_is_private(tmp_path: Path) -> None:
    database_at(f"sqlite:///{tmp_path / 'p.db'}").migrations().up()
    assert modes(tmp_path) == {"p.db": 0o600}


def test_a_journal_is_private(tmp_path: Path) -> None:
    journal = Journal(*journal_paths(tmp_path / "spool", 1))
    journal.open()
    journal.commit([builders.postback()])
    found = modes(tmp_path)
    journal.close()
    files = {f"spool/worker-1/spool.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm")} | {
        "spool/waiting": 0o600,
        "spool/clock": 0o600,
    }
    assert found == {"spool": 0o700, "spool/worker-1": 0o700} | files


def test_a_backup_and_what_is_restored_are_private_whatever_an_earlier_try_left(tmp_path: Path) -> None:
    source = tmp_path / "p.db"
    filled(source).close()
    for name in ("copy.db.part", "q.db.part"):
        (tmp_path / name).touch(0o666)
    back_up(source, tmp_path / "copy.db")
    restore(tmp_path / "copy.db", tmp_path / "q.db")
    restore(tmp_path / "copy.db", tmp_path / "new" / "r.db")
    expected = {"copy.db": 0o600, "q.db": 0o600, "new": 0o700, "new/r.db": 0o600}
    assert {name: mode for name, mode in modes(tmp_path).items() if name in expected} == expected


def test_a_file_and_a_folder_that_are_there_keep_their_modes_and_the_log_gets_the_files(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "p.db"
    path.parent.mkdir(0o755)
    filled(path).close()
    path.chmod(0o640)
    database_at(f"sqlite:///{path}").migrations().up()
    with closing(filled(path)):
        found = modes(tmp_path)
    assert found == {"shared": 0o755, "shared/p.db": 0o640, "shared/p.db-wal": 0o640, "shared/p.db-shm": 0o640}
