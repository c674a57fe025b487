"""The journal, on real files: durable before it answers, in order, bounded, and never trusted after an I/O error."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Probe, Verdict
from service.spool.encoding import decode
from service.spool.journal import RESERVED_BYTES, Journal
from service.spool.journal_schema import Waiting
from service.spool.places import journal_paths
from service.storage.ledger import MAX_BATCH
from tests.support import builders

PROBE = Probe(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Open a journal in the test's folder."""
    opened = Journal(journal_paths(tmp_path, 3)[0])
    opened.open()
    yield opened
    opened.close()


def click_ids(journal: Journal, count: int = 1000) -> list[str | None]:
    """Return who waits, in order."""
    return [decode(*_encoded(waiting)).click_id for waiting in journal.oldest(count)]


def _encoded(waiting: Waiting) -> tuple[int, str, str]:
    return waiting.version, waiting.outcome, waiting.text


def append(journal: Journal, *click_ids: str) -> None:
    """Append a postback for each click id, together."""
    journal.commit([builders.postback(f"c={click_id}&value=1") for click_id in click_ids])


def fill(journal: Journal) -> None:
    """Append until there is no room, two at a time."""
    while True:
        append(journal, "a", "b")


def test_each_worker_has_a_directory_of_its_own(tmp_path: Path) -> None:
    assert journal_paths(tmp_path, 0)[0] == tmp_path / "worker-0" / "spool.db"
    assert journal_paths(tmp_path, 11)[0] == tmp_path / "worker-11" / "spool.db"


def test_a_postback_is_spooled_and_a_rejection_keeps_its_outcome(journal: Journal) -> None:
    rejection = builders.rejection(Outcome.INVALID_VALUE)
    verdicts, rows, *_ = journal.commit([builders.postback(), rejection, PROBE])
    assert verdicts == [
        Verdict(Outcome.SPOOLED),
        Verdict(Outcome.INVALID_VALUE, rejection.detail),
        Verdict(Outcome.SPOOLED),
    ]
    assert rows == {"spool": 2}
    assert [waiting.outcome for waiting in journal.oldest(10)] == ["spooled", "invalid_value"]


def test_a_probe_commits_and_leaves_nothing_to_drain(journal: Journal) -> None:
    assert journal.commit([PROBE]).rows == {"spool": 0}
    assert journal.oldest(10) == []
    with closing(sqlite3.connect(journal.path)) as connection:
        assert connection.execute("SELECT count(*) FROM write_probe").fetchone() == (1,)


def test_entries_come_back_in_the_order_in_which_they_came(journal: Journal) -> None:
    append(journal, "c", "a")
    append(journal, "b")
    assert click_ids(journal) == ["c", "a", "b"]
    assert click_ids(journal, 2) == ["c", "a"]


def test_what_is_removed_is_gone_and_what_came_later_stays(journal: Journal) -> None:
    append(journal, "a", "b", "c")
    first, second, _ = (waiting.seq for waiting in journal.oldest(3))
    assert journal.remove([first, second]) == 2
    assert journal.remove([first]) == 0
    append(journal, "d")
    assert click_ids(journal) == ["c", "d"]


def test_a_place_in_the_order_is_never_given_twice(journal: Journal) -> None:
    append(journal, "a", "b")
    taken = [waiting.seq for waiting in journal.oldest(2)]
    journal.remove(taken)
    append(journal, "c")
    assert journal.oldest(1)[0].seq > max(taken)


def test_entries_can_be_passed_over(journal: Journal) -> None:
    append(journal, "a", "b", "c")
    seqs = [waiting.seq for waiting in journal.oldest(3)]
    ids = [waiting.request_id for waiting in journal.oldest(3)]
    assert [waiting.seq for waiting in journal.oldest(3, {ids[0], ids[2]})] == [seqs[1]]
    assert [waiting.seq for waiting in journal.oldest(3, {ids[0]}, {"c"})] == [seqs[1]]


def test_the_next_process_finds_what_was_left_and_knows_that_it_did(tmp_path: Path) -> None:
    path = journal_paths(tmp_path, 0)[0]
    journal = Journal(path)
    journal.open()
    assert (journal.found, journal.found_up_to) == (0, 0)
    append(journal, "a", "b")
    last = journal.oldest(2)[-1].seq
    journal.close()
    journal = Journal(path)
    journal.open()
    assert (journal.found, journal.found_up_to) == (2, last)
    assert click_ids(journal) == ["a", "b"]
    journal.close()


def test_one_process_has_a_spool_directory(journal: Journal) -> None:
    with pytest.raises(StorageError, match="another process is serving") as refused:
        Journal(journal.path, patience=0).open()
    assert refused.value.kind == ErrorKind.LOCKED
    append(journal, "a")


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot open the spool"):
        Journal(journal_paths(tmp_path / "file", 0)[0]).open()


def test_a_file_that_is_no_journal_is_refused_and_may_be_tried_again(tmp_path: Path) -> None:
    path = journal_paths(tmp_path, 0)[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"long enough to be read as a header" * 99)
    journal = Journal(path)
    for _ in range(2):  # the lock was given back
        with pytest.raises(StorageBroken, match="SQLITE_NOTADB"):
            journal.open()


def test_the_connection_is_as_durable_as_the_databases_own(journal: Journal) -> None:
    connection = journal._connection  # noqa: SLF001 - the property is the connection's
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_full_journal_appends_nothing_of_the_batch_and_has_room_again_when_it_was_drained(tmp_path: Path) -> None:
    journal = Journal(journal_paths(tmp_path, 0)[0], max_bytes=200_000)
    journal.open()
    with pytest.raises(StorageError, match="the spool is full") as full:
        fill(journal)
    assert full.value.kind == ErrorKind.SPOOL_FULL
    assert not isinstance(full.value, StorageBroken)
    waiting = journal.oldest(5000)
    assert 200 < len(waiting) < 400
    assert len(waiting) % 2 == 0
    assert journal.size.taken <= journal.size.capacity == 200_000
    assert journal.commit([PROBE]).verdicts == [Verdict(Outcome.SPOOLED)]
    journal.remove([one.seq for one in waiting])
    append(journal, "later")
    assert click_ids(journal) == ["later"]
    journal.close()


def test_the_size_tells_what_is_taken_and_when_the_oldest_came(journal: Journal) -> None:
    empty = journal.size
    assert empty.oldest_at == 0.0
    append(journal, *(f"c{number}" for number in range(MAX_BATCH)))
    assert journal.size.taken > empty.taken + MAX_BATCH * 200
    assert journal.size.oldest_at == builders.RECEIVED_AT.timestamp()
    journal.remove([waiting.seq for waiting in journal.oldest(MAX_BATCH)])
    assert journal.size.taken < empty.taken + 20_000
    assert journal.size.oldest_at == 0.0


def test_what_may_be_taken_is_no_more_than_what_is_free(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    system = os.statvfs(journal.path.parent)
    blocks = RESERVED_BYTES // system.f_frsize
    monkeypatch.setattr("os.statvfs", lambda _: os.statvfs_result([*system[:4], blocks + 10, *system[5:]]))
    journal.measure()
    assert journal.size.capacity == journal.size.taken + 10 * system.f_frsize


def test_so_much_of_the_disk_stays_free_that_entries_can_be_removed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(journal, "a")
    system = os.statvfs(journal.path.parent)
    blocks = RESERVED_BYTES // system.f_frsize
    monkeypatch.setattr("os.statvfs", lambda _: os.statvfs_result([*system[:4], blocks, *system[5:]]))
    with pytest.raises(StorageError, match="the disk under the spool is full") as full:
        append(journal, "b")
    assert full.value.kind == ErrorKind.SPOOL_FULL
    assert journal.commit([PROBE]).verdicts == [Verdict(Outcome.SPOOLED)]
    assert journal.remove([waiting.seq for waiting in journal.oldest(2)]) == 1


@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
def test_a_journal_whose_file_was_deleted_gives_no_receipt_and_is_never_used_again(journal: Journal, name: str) -> None:
    append(journal, "a")
    (journal.path.parent / name).unlink()
    with pytest.raises(StorageBroken, match="moved or deleted") as told:
        append(journal, "b")
    assert told.value.rows == {"spool": 1}  # where the file is now, it has it
    for use in (lambda: append(journal, "c"), lambda: journal.oldest(1), lambda: journal.remove([1]), journal.measure):
        with pytest.raises(StorageBroken, match="moved or deleted"):
            use()
    assert journal.broken is not None


def test_a_journal_that_another_process_has_is_passed_over_for_the_next(tmp_path: Path) -> None:
    """In a rolling restart the old process still has its journal when the new one starts."""
    old, new = (Journal(*journal_paths(tmp_path, 1), patience=0) for _ in range(2))
    old.open()
    new.open()
    assert (old.path.parent.name, new.path.parent.name) == ("worker-1", "worker-1-next")
    with pytest.raises(StorageError, match="another process"):
        Journal(*journal_paths(tmp_path, 1), patience=0).open()
    old.close()
    again = Journal(*journal_paths(tmp_path, 1))
    again.open()
    assert again.path == old.path
    for journal in (new, again):
        journal.close()


def test_what_left_before_something_failed_has_left_and_the_journal_is_not_used_again(journal: Journal) -> None:
    append(journal, "a", "b")
    journal.path.parent.rename(journal.path.parent.with_name("elsewhere"))
    assert journal.remove([1]) == 1
    assert isinstance(journal.broken, StorageBroken)
    with pytest.raises(StorageBroken, match="No such file"):
        journal.remove([2])


def test_a_flag_says_whether_anything_waits(journal: Journal) -> None:
    assert not journal.flags.any()
    append(journal, "a")
    assert list(journal.flags.waiting()) == [journal.path]
    journal.remove([1])
    assert not journal.flags.any()
    journal.flags.set(journal.path, waits=True)  # before an append that failed
    journal.measure()
    assert not journal.flags.any()


def test_a_journal_bears_the_name_of_the_database_that_its_entries_are_for(journal: Journal) -> None:
    journal.claim("first")
    append(journal, "a")
    journal.claim("first")
    with pytest.raises(StorageBroken, match="POSTBACK_DATABASE_URL") as refused:
        journal.claim("second")
    assert refused.value.kind == ErrorKind.ANOTHER_DATABASE
    assert journal.broken is refused.value


def test_a_journal_in_which_nothing_waits_is_for_whichever_database_comes(journal: Journal) -> None:
    journal.claim("first")
    journal.claim("second")
    append(journal, "a")
    journal.claim("second")


def test_a_journal_of_the_version_before_takes_the_name_of_the_first_database(tmp_path: Path) -> None:
    journal = Journal(journal_paths(tmp_path, 0)[0])
    journal.open()
    append(journal, "a")
    journal.close()
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        connection.executescript(
            "DROP INDEX ix_entry_click_id; DROP TABLE database_identity; DROP TABLE database_place;"
            "ALTER TABLE entry DROP COLUMN appended_at"
        )
    later = Journal(journal.path)
    later.open()
    later.claim("first")
    assert click_ids(later) == ["a"]
    later.close()
