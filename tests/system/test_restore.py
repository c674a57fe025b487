"""A restore from outside: whoever is started meanwhile is told so, and serves nothing that will be replaced."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.outside.harness import NotStarted, Service, clean_environment, command
from tests.support.outside.tools import need_strace

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

SLOW_SYNC = ("strace", "-f", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=1000000", "-o", "/dev/null")
PATIENCE = 60.0


def test_a_service_that_is_started_during_a_restore_serves_only_what_stays(tmp_path: Path) -> None:
    """A supervisor starts it again and again; the disk needs a second for each sync."""
    need_strace()
    backup = tmp_path / "backup.db"
    with Service(tmp_path) as service:
        assert service.postback("before").outcome == "stored"
        made = command(tmp_path, service.database_url, "backup", str(backup))
        assert made.returncode == 0, made.stderr
        assert service.postback("after").outcome == "stored"
        service.terminate()
        restoring = restore(service, SLOW_SYNC, backup)
        refusals = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                with service:
                    assert service.postback("since").outcome == "stored"
                    assert restoring.wait(PATIENCE) == 0
                    assert service.alive
                    assert service.postback("last").outcome == "stored"
                    stored = service.sql("SELECT click_id FROM conversion ORDER BY received_at")
                    break
            except NotStarted as error:
                refusals.append(str(error))
        assert stored == [("before",), ("since",), ("last",)]
    assert any("a restore of" in refusal for refusal in refusals), refusals


def restore(service: Service, wrapper: Sequence[str], backup: Path) -> "subprocess.Popen[bytes]":
    """Begin a restore, and wait until something of it is to be seen beside the database."""
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-m", "service", "restore", str(backup)],
        cwd=service.directory,
        env={**clean_environment(), "POSTBACK_DATABASE_URL": service.database_url},
    )
    while not [*service.directory.glob("*.restoring"), *service.directory.glob("*.before-*")]:
        assert process.poll() is None
        time.sleep(0.01)
    return process
