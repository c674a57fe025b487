"""Owns what a copy of a SQLite file promises: one moment, complete, never over another file, and a way back."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from service.core.unavailable import StorageError
from service.storage.sqlite.backup import back_up, check, restore
from service.storage.sqlite.ledger import SqliteLedger
from tests.support.builders import postback, rejection

ROWS = 5_000


def filled(ledger: SqliteLedger, count: int, prefix: str = "click") -> None:
    """Store so many conversions, a batch at a time."""
    for start in range(0, count, 100):
        ledger.commit([postback(f"c={prefix}-{number}&value=1") for number in range(start, start + 100)])


def test_a_copy_holds_every_row_is_checked_and_stands_alone(
    path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path
) -> None:
    sqlite_ledger.commit([postback("c=a&value=1"), postback("c=a&value=1"), rejection()])
    copied = back_up(path, tmp_path / "copy.db")
    assert copied.rows == {"conversion": 1, "status_change": 0, "duplicate": 1, "rejected_postback": 1}
    assert [file.name for file in tmp_path.glob("copy.db*")] == ["copy.db"]
    assert check(copied.path) == copied.rows


def test_a_copy_is_one_moment_while_a_writer_goes_on(path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path) -> None:
    """Each batch is one transaction of a hundred: a copy with a part of one would be of no moment."""
    filled(sqlite_ledger, ROWS)
    done, more = threading.Event(), [0]

    def write() -> None:
        while not done.is_set():
            filled(sqlite_ledger, 100, f"more-{more[0]}")
            more[0] += 1

    shares: list[float] = []
    writer = threading.Thread(target=write)
    writer.start()
    try:
        copied = back_up(path, tmp_path / "copy.db", shares.append, pages=5)
    finally:
        done.set()
        writer.join()
    assert more[0] > 0
    assert copied.rows["conversion"] >= ROWS
    assert copied.rows["conversion"] % 100 == 0
    assert len(shares) > 10  # pages are copied a few at a time
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_copy_never_replaces_a_file(path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path) -> None:
    sqlite_ledger.commit([postback()])
    target = tmp_path / "copy.db"
    target.write_text("precious", encoding="ascii")
    with pytest.raises(StorageError, match="is there already"):
        back_up(path, target)
    assert target.read_text(encoding="ascii") == "precious"


def test_a_copy_that_fails_leaves_nothing(path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path) -> None:
    filled(sqlite_ledger, 100)
    sqlite_ledger.close()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096)
    with pytest.raises(StorageError):
        back_up(path, tmp_path / "copy.db")
    assert list(tmp_path.glob("copy.db*")) == []
    sqlite_ledger.open()


def test_there_is_no_copy_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no database"):
        back_up(tmp_path / "nothing.db", tmp_path / "copy.db")


def test_a_backup_takes_the_place_and_what_stood_there_is_kept(
    path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path
) -> None:
    sqlite_ledger.commit([postback("c=before&value=1")])
    copied = back_up(path, tmp_path / "copy.db")
    sqlite_ledger.commit([postback("c=after&value=1")])
    sqlite_ledger.close()
    restored = restore(copied.path, path)
    assert clicks(path) == ["before"]
    assert restored.copy.rows["conversion"] == 1
    assert restored.before is not None
    assert clicks(restored.before) == ["after", "before"]
    assert check(copied.path) == copied.rows
    sqlite_ledger.open()
    sqlite_ledger.commit([postback("c=since&value=1")])
    assert clicks(path) == ["before", "since"]


def test_a_log_is_moved_with_its_database(path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path) -> None:
    """A log beside another database would be played into it."""
    sqlite_ledger.commit([postback("c=before&value=1")])
    copied = back_up(path, tmp_path / "copy.db")
    sqlite_ledger.commit([postback("c=after&value=1")])
    log = Path(f"{path}-wal").read_bytes()
    sqlite_ledger.close()
    Path(f"{path}-wal").write_bytes(log)  # as a SIGKILL leaves it
    restored = restore(copied.path, path)
    assert not Path(f"{path}-wal").exists()
    assert Path(f"{restored.before}-wal").read_bytes() == log
    assert clicks(path) == ["before"]
    sqlite_ledger.open()


def test_a_backup_is_put_where_nothing_is(sqlite_ledger: SqliteLedger, path: Path, tmp_path: Path) -> None:
    sqlite_ledger.commit([postback("c=a&value=1")])
    restored = restore(back_up(path, tmp_path / "copy.db").path, tmp_path / "new" / "place.db")
    assert restored.before is None
    assert clicks(restored.copy.path) == ["a"]


def test_while_a_process_serves_the_database_nothing_changes(
    path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path
) -> None:
    sqlite_ledger.commit([postback("c=a&value=1")])
    copied = back_up(path, tmp_path / "copy.db")
    sqlite_ledger.commit([postback("c=b&value=1")])
    with pytest.raises(StorageError, match="another process is serving"):
        restore(copied.path, path)
    assert clicks(path) == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00" + bytes(5000)])
def test_what_is_no_backup_of_ours_changes_nothing(
    path: Path, sqlite_ledger: SqliteLedger, tmp_path: Path, content: bytes
) -> None:
    sqlite_ledger.commit([postback("c=a&value=1")])
    sqlite_ledger.close()
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(content)
    with pytest.raises(StorageError):
        restore(wrong, path)
    assert clicks(path) == ["a"]
    sqlite_ledger.open()


def clicks(database: Path) -> list[str]:
    """Return the click ids that are stored."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT click_id FROM conversion ORDER BY click_id")]
