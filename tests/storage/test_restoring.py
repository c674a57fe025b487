"""A database that is being replaced is nobody's: a start says so, also after a restore that was cut off."""

import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from service.core.unavailable import StorageError
from service.storage.sqlite.backup import back_up, restore
from service.storage.sqlite.file import FileLock
from service.storage.sqlite.ledger import SqliteLedger
from service.storage.sqlite.restoring import restoring
from tests.support.builders import postback

PATIENCE = 10.0
ROUNDS = 3000


class CutOff(BaseException):
    """The power went."""


def cut_off(path: Path) -> None:
    """Begin a restore, and let the power go when the old file is about to move."""
    with restoring(path) as moving:
        moving()
        raise CutOff


@pytest.fixture
def copy(path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path) -> Path:
    """Give a backup; the database is closed until the end of the test."""
    sqlite_ledger.commit([postback("c=a&value=1")])
    return back_up(path, tmp_path / "copy.db").path


def test_a_start_during_a_restore_says_so(tmp_path: Path) -> None:
    path = tmp_path / "postback.db"
    with restoring(path), pytest.raises(StorageError, match=r"a restore of .*postback.db is under way"):
        SqliteLedger(path).open()
    started = SqliteLedger(path)
    started.open()
    started.close()


def test_while_the_restore_holds_the_file_a_start_says_so_too(tmp_path: Path) -> None:
    path = tmp_path / "postback.db"
    with restoring(path):
        lock = FileLock(path, restoring=True)
        with pytest.raises(StorageError, match=r"a restore of .*postback.db is under way"):
            FileLock(path)
        lock.close()


def test_of_two_restores_one_is_refused_and_does_not_disturb_the_other(
    path: Path, sqlite_ledger: SqliteLedger, copy: Path
) -> None:
    sqlite_ledger.close()
    with restoring(path), pytest.raises(StorageError, match=r"another restore of .* is under way"):
        restore(copy, path)
    restore(copy, path)
    sqlite_ledger.open()


def test_a_restore_that_was_cut_off_must_be_given_again(path: Path, sqlite_ledger: SqliteLedger, copy: Path) -> None:
    """Perhaps the log had moved, and the old file without it lacks what was acknowledged last."""
    sqlite_ledger.close()
    with pytest.raises(CutOff):
        cut_off(path)
    with pytest.raises(StorageError, match=r"a restore of .* was cut off: give it again"):
        sqlite_ledger.open()
    restore(copy, path)
    sqlite_ledger.open()
    assert list(path.parent.glob("*.restoring")) == []


def test_one_that_failed_before_anything_moved_leaves_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "postback.db"
    with pytest.raises(CutOff), restoring(path):
        raise CutOff
    assert list(tmp_path.iterdir()) == []


def test_who_locks_a_file_that_is_being_replaced_has_the_one_that_is_there_afterwards(tmp_path: Path) -> None:
    """Whoever opened the old file before a restore must not serve it under its new name."""
    path, done = tmp_path / "postback.db", threading.Event()

    def replace_all_the_time() -> None:
        while not done.is_set():
            with suppress(StorageError), closing(FileLock(path)):
                part = tmp_path / "part"
                with closing(FileLock(part)):
                    part.rename(path)

    with ThreadPoolExecutor() as pool:
        replacing = [pool.submit(replace_all_the_time) for _ in range(2)]
        for _ in range(ROUNDS):
            with suppress(StorageError), closing(FileLock(path)):
                assert not unlocked(path)
        done.set()
        for one in replacing:
            one.result(PATIENCE)


def unlocked(path: Path) -> bool:
    """Say whether the file that is there now has no lock."""
    with path.open("rb") as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False
