"""Owns what a sender sees while the disk is full, locked, hung or gone: no false receipt, and 200 again after it."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.outside.disk import Disk
from tests.support.outside.hanging_disk import HangingDisk
from tests.support.outside.harness import EXIT_SECONDS, NotStarted, Service, wait_for
from tests.support.outside.tools import need_mounts
from tests.support.outside.wire import Answer, HungUp

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

EXIT_STORAGE_BROKEN = 74
ANSWER_SECONDS = 2.5  # promised are 2; the rest is for a busy machine


@contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock from another process, as a person with the sqlite3 shell can."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def timed(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    """Return an answer and how many seconds it took."""
    started = time.monotonic()
    return ask(), time.monotonic() - started


def assert_unavailable(answer: Answer) -> None:
    """Check that a sender is told to come again, and why."""
    assert (answer.status, answer.outcome) == (503, "storage_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_write_lock_held_by_another_process_is_answered_in_time_and_passes(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        assert service.postback("before").outcome == "stored"
        with write_lock(service.database):
            answer, seconds = timed(lambda: service.postback("during"))
            assert_unavailable(answer)
            assert seconds < ANSWER_SECONDS
        assert service.postback("after").outcome == "stored"
        assert service.postback("during").status == 200


def test_a_disk_that_hangs_is_answered_in_time_and_passes(tmp_path: Path, form: str) -> None:
    disk = HangingDisk(tmp_path)
    with Service(tmp_path, wrapper=disk.wrapper) as service:
        assert service.postback("before").outcome == "stored"
        disk.hang()
        stuck = [f"stuck-{number}" for number in range(5)]  # one is being committed, the others wait behind it
        with ThreadPoolExecutor(len(stuck)) as senders:
            for answer, seconds in senders.map(lambda click_id: timed(lambda: service.postback(click_id)), stuck):
                assert_unavailable(answer)
                assert seconds < ANSWER_SECONDS
        time.sleep(10 if form == "long" else 0)
        disk.go_on()
        assert wait_for(lambda: service.postback("after").status == 200, EXIT_SECONDS)
        assert {service.postback(click_id).status for click_id in stuck} == {200}


def test_sigterm_is_obeyed_in_time_while_the_disk_hangs(tmp_path: Path) -> None:
    disk = HangingDisk(tmp_path)
    with Service(tmp_path, wrapper=disk.wrapper) as service:
        assert service.postback("before").outcome == "stored"
        disk.hang()
        assert_unavailable(service.postback("during"))
        service.terminate()  # in EXIT_SECONDS
    assert service.sql("SELECT count(*) FROM conversion WHERE click_id = 'before'") == [(1,)]


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda path: path.rename(path.with_name("moved.db")), id="database-moved"),
        pytest.param(lambda path: path.unlink(), id="database-deleted"),
        pytest.param(lambda path: path.with_name("p.db-wal").unlink(), id="wal-deleted"),
        pytest.param(lambda path: Path(shutil.copy(path, path.with_name("copy.db"))).rename(path), id="replaced"),
        pytest.param(lambda path: path.parent.rename(path.parent.with_name("elsewhere")), id="directory-moved"),
    ],
)
def test_a_database_that_is_not_where_it_was_is_never_written_with_a_receipt(
    tmp_path: Path, lose: Callable[[Path], object]
) -> None:
    """Whoever restarts the service on this path would not find what was acknowledged."""
    place = tmp_path / "data"
    place.mkdir()
    with Service(tmp_path, database=place / "p.db") as service:
        assert service.postback("before").outcome == "stored"
        lose(service.database)
        for number in range(3):
            try:
                assert_unavailable(service.postback(f"after-{number}"))
            except (HungUp, ConnectionError):  # it has stopped
                break
        assert service.wait(EXIT_SECONDS) == EXIT_STORAGE_BROKEN
        assert "critical" in [line["level"] for line in service.log_lines()]


def test_a_full_disk_is_answered_503_until_there_is_space_and_nothing_acknowledged_is_lost(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    need_mounts()
    acknowledged = []
    with Disk(tmp_path, 16) as disk, Service(tmp_path, database=disk.path / "p.db") as service:
        acknowledged.append(service.postback("first").request_id)
        ballast = disk.fill(leave=128 * 1024)
        answers = [service.postback(f"full-{number}") for number in range(60)]
        assert {answer.outcome for answer in answers} == {"stored", "storage_unavailable"}
        assert_unavailable(answers[-1])
        assert service.ask_operator("/readyz").status == 503
        ballast.unlink()
        assert wait_for(lambda: service.postback("last").status == 200, EXIT_SECONDS)
        assert wait_for(lambda: service.ask_operator("/readyz").status == 200, EXIT_SECONDS)
        acknowledged += [answer.request_id for answer in answers if answer.status == 200]
        service.kill()
        with Service(tmp_path, database=disk.path / "p.db") as again:
            found = {str(row[0]) for row in again.sql("SELECT request_id FROM conversion")}
            assert set(acknowledged) <= found
            again.kill()
    figures(f"{len(acknowledged)} acknowledged on a disk that filled up, 0 lost")


def test_a_start_on_a_full_disk_is_refused_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    need_mounts()
    with Disk(tmp_path, 16) as disk:
        database = disk.path / "p.db"
        with Service(tmp_path, database=database) as service:
            assert service.postback("before").outcome == "stored"
            assert service.terminate() == 0
        ballast = disk.fill()
        full = Service(tmp_path, database=database)
        with pytest.raises(NotStarted), full:
            pass
        assert full.wait() == 2
        assert full.stderr().startswith("SQLITE_")
        assert full.stderr().count("\n") == 1
        ballast.unlink()
        with Service(tmp_path, database=database) as service:
            assert service.postback("before").outcome == "duplicate"
