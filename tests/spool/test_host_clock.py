"""The host's clock: one order for all processes of a boot, whatever the wall clock does."""

from pathlib import Path

import pytest

from service.core.unavailable import StorageError
from service.spool.host_clock import FILE_NAME, Nanoseconds, host_clock


class Host:
    """A host whose clocks stand until they are set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wall, self.monotonic = 1_000_000, 50
        self.restart("first")

    def restart(self, boot: str) -> None:
        """Have another boot id."""
        (self.folder / "boot_id").write_text(f"{boot}\n", encoding="ascii")

    def clock(self) -> Nanoseconds:
        """Return the clock of a process that starts."""
        boot = self.folder / "boot_id"
        return host_clock(self.folder, boot, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Run a host on the test's folder."""
    return Host(tmp_path)


def test_no_step_of_the_wall_clock_is_seen_by_any_process_of_a_boot(host: Host) -> None:
    first = host.clock()
    assert first() == 1_000_000
    host.wall, host.monotonic = 400_000, 60
    second = host.clock()
    assert first() == second() == 1_000_010


def test_each_boot_is_set_by_the_wall_clock_anew(host: Host) -> None:
    host.clock()
    host.restart("second")
    host.wall, host.monotonic = 2_000_000, 3
    assert host.clock()() == 2_000_000


@pytest.mark.parametrize("torn", ["", "first", "first x", "first x y", "\0\0\0"])
def test_a_file_that_says_nothing_is_written_anew(host: Host, torn: str) -> None:
    (host.folder / FILE_NAME).write_text(torn, encoding="ascii")
    assert host.clock()() == 1_000_000
    host.wall += 7
    assert host.clock()() == 1_000_000


def test_without_a_boot_id_it_is_the_wall_clock(host: Host) -> None:
    (host.folder / "boot_id").unlink()
    clock = host.clock()
    host.wall = 7
    assert clock() == 7
    assert not (host.folder / FILE_NAME).exists()


def test_a_file_that_cannot_be_opened_is_said(host: Host) -> None:
    (host.folder / FILE_NAME).mkdir()
    with pytest.raises(StorageError, match="cannot open"):
        host.clock()
