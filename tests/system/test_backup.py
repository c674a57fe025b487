"""Owns the drills: the service loses its disk under load, and what a backup promises is there again.

SQLite: a copy has whatever was acknowledged before it was asked for, and the files that a crash leaves have everything.
PostgreSQL: a base backup and an archive that each commit waits for restore the last acknowledged postback.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.outside.harness import REPOSITORY, Service, clean_environment, command, migrate, wait_for
from tests.support.outside.ledger import Ledger, run, run_until
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

CONNECTIONS = 16
SECONDS = 0.7
PATIENCE = 60


def test_a_copy_taken_under_load_holds_what_was_acknowledged_before_it(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    ledger, backup = Ledger("drill", seed=1), tmp_path / "backup.db"
    with Service(tmp_path) as service:
        run(ledger.press_in_turn(service.public, 200))
        before = set(ledger.acknowledged)
        asked = subprocess.Popen(
            [sys.executable, "-m", "service", "backup", str(backup)],
            cwd=REPOSITORY,
            env={**clean_environment(), "POSTBACK_DATABASE_URL": f"sqlite:///{service.database}"},
        )
        pressing = ledger.press(service.public, CONNECTIONS)
        run_until(pressing, 3 * SECONDS, lambda: service.send_signal(signal.SIGKILL))
        assert asked.wait(PATIENCE) == 0
    for path in tmp_path.glob("p.db*"):
        path.unlink()
    restored = command(tmp_path, f"sqlite:///{tmp_path / 'p.db'}", "restore", str(backup), "--json")
    assert json.loads(restored.stdout)["before"] is None, restored.stderr
    with Service(tmp_path) as service:
        present = {str(row[0]) for row in service.sql("SELECT click_id FROM conversion")}
        assert before <= present <= set(ledger.sent)
        assert service.postback("after-the-drill").outcome == "stored"
    figures(f"{len(before)} acknowledged before the backup, all there; {len(present)} of {len(ledger.sent)} in all")


def test_the_files_that_a_crash_leaves_have_the_last_acknowledged_postback(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """A snapshot of the volume, or the disk in another machine: the database and its log belong together."""
    ledger, elsewhere = Ledger("files", seed=2), tmp_path / "elsewhere"
    with Service(tmp_path) as service:
        run_until(ledger.press(service.public, CONNECTIONS), SECONDS, lambda: service.send_signal(signal.SIGKILL))
    elsewhere.mkdir()
    for path in tmp_path.glob("p.db*"):
        shutil.move(path, elsewhere)
    with Service(elsewhere) as service:
        stored = ledger.check_against(service)
    figures(f"{len(ledger.acknowledged)} acknowledged, {len(stored)} in the files, 0 lost")


@contextmanager
def archive(server: PostgresServer) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Stream the server's log to files under the name that commits wait for; gives its pause button, too."""
    (directory,) = server.own("archive")
    server.sql("SELECT pg_create_physical_replication_slot('archive', true)")
    target = f"host=127.0.0.1 port={server.port} user=postgres application_name=archive"
    process = server.begin("pg_receivewal", "-D", str(directory), "--slot=archive", "--synchronous", "-d", target)
    try:
        yield directory, lambda: process.send_signal(signal.SIGSTOP)
    finally:
        process.kill()
        process.communicate()


def test_a_base_backup_and_an_archive_that_commits_wait_for_restore_the_last_acknowledged_postback(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """The archive hangs before the server is lost: from then on nothing may be acknowledged, or it would be missing."""
    ledger = Ledger("drill", seed=3)
    with PostgresServer() as lost, archive(lost) as (archived, pause), PostgresServer.empty() as new:
        migrate(tmp_path, lost.url())
        lost.program("pg_basebackup", "-D", str(new.data), "-d", lost.url(), "--checkpoint=fast", "-X", "none")
        lost.sql("ALTER SYSTEM SET synchronous_standby_names = 'archive'")
        lost.sql("SELECT pg_reload_conf()")
        wait_for(lambda: lost.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), PATIENCE)
        with Service(tmp_path, {"DATABASE_URL": lost.url()}) as service:

            def lose_everything() -> None:
                lost.kill()
                service.kill()

            threading.Timer(2 * SECONDS, pause).start()
            run_until(ledger.press(service.public, CONNECTIONS), 3 * SECONDS, lose_everything)
        shutil.rmtree(lost.data)
        recover(new, archived)
        rows = new.sql("SELECT click_id, value FROM conversion")
        ledger.check_rows(rows)
        with Service(tmp_path, {"DATABASE_URL": new.url()}) as service:
            assert service.postback("after-the-drill").outcome == "stored"
        figures(f"{len(ledger.acknowledged)} acknowledged, {len(rows)} after the restore, 0 lost")


def recover(new: PostgresServer, archived: Path) -> None:
    """Start a server on a base backup and play the archive to its end, the unfinished file too."""
    for partial in archived.glob("*.partial"):
        partial.rename(partial.with_suffix(""))
    new.configure({"restore_command": f"cp {archived}/%f %p", "recovery_target_timeline": "latest"})
    (new.data / "recovery.signal").touch()
    new.start()
    wait_for(lambda: new.sql("SELECT pg_is_in_recovery()") == [(False,)], PATIENCE)
