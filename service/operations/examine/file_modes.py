"""Owns the check of file modes: files that hold postbacks are not for every user of the machine."""

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from service.operations.examine.findings import Finding, ok, warning

_BESIDE = ("", "-wal", "-shm")  # SQLite's three names of one database


def check(name: str, databases: Iterable[Path]) -> Finding:
    """Return the finding about SQLite files. Modes are not changed: somebody may have opened the files on purpose."""
    files = [Path(f"{path.absolute()}{suffix}") for path in databases for suffix in _BESIDE]
    if found := [str(file) for file in files if _open_to_others(file)]:
        advice = f"Money and what senders sent are in there: chmod o-r {' '.join(found)}"
        return warning(name, f"everybody on this machine may read {', '.join(found)}", advice)
    return ok(name, "not everybody on this machine may read them")


def _open_to_others(file: Path) -> bool:
    with suppress(FileNotFoundError):  # a log comes and goes with the process
        return bool(file.stat().st_mode & stat.S_IROTH and file.parent.stat().st_mode & stat.S_IXOTH)
    return False
