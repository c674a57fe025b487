"""Owns the proof that a power cut loses nothing acknowledged, and that this very test sees it where it does."""

import random
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import pytest

from tests.support.outside.disk import Disk
from tests.support.outside.harness import REPOSITORY, Service
from tests.support.outside.ledger import Ledger, run, run_until
from tests.support.outside.tools import need_mounts

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

Cut = Callable[[Disk, Service, Ledger, float], None]

CONNECTIONS = 24
QUIET_RECEIPTS = 40  # of two or three pages each; a checkpoint comes every thousand
MEGABYTES = 256
MOMENTS = random.Random(11)  # noqa: S311 - a spread, not a secret

# Loaded by the service's interpreter at its start, from a directory of the test: the service asks for
# synchronous=FULL and is told that it got it, but the connection runs with NORMAL.
SYNCHRONOUS_NORMAL = """
import sqlite3

class WeakCursor(sqlite3.Cursor):
    def execute(self, statement, *parameters):
        words = statement.replace("=", " ").upper().split()
        if words[:2] == ["PRAGMA", "SYNCHRONOUS"]:
            statement = "PRAGMA synchronous=NORMAL" if len(words) > 2 else "SELECT 2"
        return super().execute(statement, *parameters)

class WeakConnection(sqlite3.Connection):
    def cursor(self, factory=WeakCursor):
        return super().cursor(factory)

    def execute(self, *arguments):
        return self.cursor().execute(*arguments)

def weaken(connect):
    return lambda *arguments, **options: connect(*arguments, **{**options, "factory": WeakConnection})

sqlite3.connect = sqlite3.dbapi2.connect = weaken(sqlite3.connect)
"""


def cut_in_mid_load(disk: Disk, service: Service, ledger: Ledger, seconds: float) -> None:
    """Press for so long, and cut the power while commits are under way.

    Without synchronous=FULL this loses what came since the last checkpoint: often hundreds, but nothing when the cut
    meets a checkpoint. So it is not the only kind of cut here.
    """

    def cut() -> None:
        disk.cut_power()
        service.kill()

    run_until(ledger.press(service.public, CONNECTIONS), seconds, cut)


def cut_after_the_last_receipt(disk: Disk, service: Service, ledger: Ledger, _seconds: float) -> None:
    """Collect some receipts one by one, and cut the power when the last has come.

    They fill far less than the log holds between two checkpoints, so without synchronous=FULL the last ones are lost.
    """
    run(ledger.press_in_turn(service.public, QUIET_RECEIPTS))
    disk.cut_power()
    service.kill()


CUTS = (cut_after_the_last_receipt, cut_in_mid_load)


def lost_in_a_cut(disk: Disk, directory: Path, ledger: Ledger, cut: Cut, wrapper: Sequence[str] = ()) -> set[str]:
    """Serve from the disk, cut its power, plug it in again; return what was acknowledged and is not there any more."""
    database = disk.path / "p.db"
    with Service(directory, database=database, wrapper=wrapper) as service:
        cut(disk, service, ledger, MOMENTS.uniform(0.2, 1.0))
    disk.unmount()
    disk.mount()
    with Service(directory, database=database) as service:
        return ledger.acknowledged - {str(row[0]) for row in service.sql("SELECT click_id FROM conversion")}


def test_nothing_acknowledged_is_lost_in_a_power_cut(tmp_path: Path, form: str, figures: Callable[[str], None]) -> None:
    need_mounts()
    cuts = 20 if form == "long" else 3
    ledger = Ledger("cut", seed=11)
    with Disk(tmp_path, MEGABYTES) as disk:
        for _, cut in zip(range(cuts), cycle(CUTS), strict=False):
            assert lost_in_a_cut(disk, tmp_path, ledger, cut) == set()
        with Service(tmp_path, database=disk.path / "p.db") as service:
            ledger.check_against(service)
            unknown = len(ledger.unknown)
            run(ledger.retry_unknown(service.public))
            assert ledger.check_against(service) == ledger.sent
            assert service.sql("PRAGMA integrity_check") == [("ok",)]
    figures(f"{cuts} power cuts, {len(ledger.acknowledged)} acknowledged, 0 lost, {unknown} unknown at the end")


def test_the_very_first_postback_survives_a_power_cut_and_so_do_the_names_of_new_directories(tmp_path: Path) -> None:
    need_mounts()
    with Disk(tmp_path, MEGABYTES) as disk:
        database = disk.path / "new" / "data" / "p.db"
        with Service(tmp_path, database=database) as service:
            assert service.postback("first").outcome == "stored"
            disk.cut_power()
            service.kill()
        disk.unmount()
        disk.mount()
        with Service(tmp_path, database=database) as service:
            assert service.postback("first").outcome == "duplicate"


def test_the_same_cut_loses_acknowledged_postbacks_without_synchronous_full(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """The negative control: a test that cannot see the loss would prove nothing."""
    need_mounts()
    weakening = tmp_path / "weakening"
    weakening.mkdir()
    (weakening / "sitecustomize.py").write_text(SYNCHRONOUS_NORMAL, encoding="utf-8")
    ledger = Ledger("weak", seed=13)
    normal = ["env", f"PYTHONPATH={weakening}:{REPOSITORY}"]
    with Disk(tmp_path, MEGABYTES) as disk:
        with Service(tmp_path, database=disk.path / "p.db"):
            pass  # the tables are made durably: the control is about postbacks
        lost = lost_in_a_cut(disk, tmp_path, ledger, cut_after_the_last_receipt, normal)
    assert lost
    figures(f"synchronous=NORMAL lost {len(lost)} of {len(ledger.acknowledged)} acknowledged")
