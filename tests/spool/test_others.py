"""Journals that nobody has: taken for a step by whoever serves there, and never into another database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.spool.flags import FILE_NAME
from service.spool.journal import Journal
from service.spool.others import Others
from service.spool.places import journal_paths
from service.telemetry.metrics import Metrics
from tests.support import builders
from tests.support.fakes import KeptLines, kept_log

OURS, THEIRS = "0" * 32, "1" * 32


def opened(folder: Path, worker: int, *click_ids: str, identity: str | None = None) -> Journal:
    """Open a worker's journal and append a postback for each click id."""
    journal = Journal(journal_paths(folder, worker)[0], patience=0)
    journal.open()
    if identity:
        journal.claim(identity)
    journal.commit([builders.postback(f"c={click_id}&value=1") for click_id in click_ids])
    return journal


@pytest.fixture
def lines() -> KeptLines:
    """Keep what is logged."""
    return KeptLines()


@pytest.fixture
def others(tmp_path: Path, lines: KeptLines) -> Iterator[Others]:
    """Be worker 1 of the directory."""
    own = opened(tmp_path, 1, "own")
    looking = Others(own, kept_log(lines, Metrics()))
    yield looking
    looking.close()
    own.close()


def taken(others: Others, *, everything: bool = False) -> list[str]:
    """Take what may be taken, say whose it was, and give it back."""
    journals = others.take(OURS, everything=everything)
    for journal in journals:
        journal.close()
    return [journal.path.parent.name for journal in journals]


def test_what_a_process_left_is_taken_and_what_one_has_is_not(tmp_path: Path, others: Others) -> None:
    opened(tmp_path, 2, "a").close()
    opened(tmp_path, 3).close()
    there = opened(tmp_path, 4, "b")
    assert taken(others) == ["worker-2"]
    there.close()
    assert taken(others) == ["worker-2", "worker-4"]


def test_what_is_taken_is_nobody_elses_until_it_is_given_back(tmp_path: Path, others: Others) -> None:
    opened(tmp_path, 2, "a").close()
    (journal,) = others.take(OURS, everything=False)
    with pytest.raises(StorageError, match="another process"):
        opened(tmp_path, 2)
    assert [waiting.seq for waiting in journal.oldest(9)] == [1]
    journal.close()
    opened(tmp_path, 2).close()


def test_without_a_flag_a_journal_is_found_when_everything_is_looked_into(tmp_path: Path, others: Others) -> None:
    opened(tmp_path, 2, "a").close()
    (tmp_path / FILE_NAME).write_bytes(bytes(4096))
    assert taken(others) == []
    assert taken(others, everything=True) == ["worker-2"]
    assert taken(others) == ["worker-2"]


def test_flags_that_a_power_cut_lost_are_set_anew(tmp_path: Path, others: Others) -> None:
    opened(tmp_path, 2, "a").close()
    (tmp_path / FILE_NAME).write_bytes(bytes(4096))
    others.measure()
    assert taken(others) == ["worker-2"]


def test_a_journal_of_the_version_before_is_taken(tmp_path: Path, others: Others) -> None:
    journal = opened(tmp_path, 2, "a")
    journal.close()
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        connection.executescript(
            "DROP INDEX ix_entry_click_id; DROP TABLE database_identity; DROP TABLE database_place;"
            "ALTER TABLE entry DROP COLUMN appended_at"
        )
    assert taken(others) == ["worker-2"]
    with closing(sqlite3.connect(journal.path)) as connection:
        assert connection.execute("SELECT identity FROM database_identity").fetchall() == [(OURS,)]


def test_what_waits_for_another_database_is_not_taken_and_that_is_said_once(
    tmp_path: Path, others: Others, lines: KeptLines
) -> None:
    opened(tmp_path, 2, "a", identity=THEIRS).close()
    assert taken(others) == taken(others) == []
    (line,) = lines.events("spool_not_drained")
    assert line["level"] == "critical"
    assert "worker-2" in str(line["reason"])


def test_a_directory_in_which_postbacks_wait_for_another_database_is_refused(tmp_path: Path, others: Others) -> None:
    journal = opened(tmp_path, 2, "a", identity=THEIRS)
    journal.close()
    with pytest.raises(StorageBroken, match=r"POSTBACK_SPOOL_DIR.*worker-2.*SPOOL_DIR of its own") as refused:
        others.assert_same_database(OURS)
    assert refused.value.kind == ErrorKind.ANOTHER_DATABASE
    others.assert_same_database(THEIRS)


def test_a_directory_that_a_service_of_another_database_uses_is_refused(tmp_path: Path, others: Others) -> None:
    there = opened(tmp_path, 2, identity=THEIRS)
    with pytest.raises(StorageBroken, match="is for another database"):
        others.assert_same_database(OURS)
    there.close()
    others.assert_same_database(OURS)  # nobody has it, and nothing waits there


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, others: Others) -> None:
    (tmp_path / "worker-2").mkdir()
    (tmp_path / "worker-2" / "spool.db").write_bytes(b"long enough to be read as a header" * 99)
    assert taken(others, everything=True) == []
    others.assert_same_database(OURS)


def test_what_nobody_has_is_counted_whosever_it_is(tmp_path: Path, others: Others) -> None:
    opened(tmp_path, 2, "a", "b").close()
    opened(tmp_path, 3, "c", identity=THEIRS).close()
    there = opened(tmp_path, 4, "d")
    others.measure()
    assert others.left == 3
    for journal in others.take(OURS, everything=False):
        journal.remove([1, 2])
        journal.close()
    assert taken(others) == []
    assert others.left == 1
    there.close()
    assert taken(others) == ["worker-4"]
    assert others.left == 2
