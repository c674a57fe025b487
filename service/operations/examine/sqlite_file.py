"""Owns the checks of an SQLite file: where it is, who may write it, how it is journaled, and whether it is intact."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from service.core.unavailable import StorageError
from service.operations.examine import file_modes
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, guarded, not_checked, ok, warning, wrong
from service.storage.sqlite.audit import SqliteAudit
from service.storage.sqlite.file import connect_writer
from service.storage.sqlite.restoring import assert_whole
from service.storage.sqlite.space import measure_space

CHECKS = (
    "database_file",
    "database_private",
    "file_system",
    "disk_space",
    "inodes",
    "wal_size",
    "journal_mode",
    "synchronous",
    "integrity",
)
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "fuse.sshfs",
    "fuse.s3fs",
}
_MEMORY = {"tmpfs", "ramfs"}
_LITTLE, _SOME = 0.03, 0.1  # share of the file system that is free
_LITTLE_BYTES = 100_000_000
_LARGE_WAL = 64 * 2**20  # 16 times what a checkpoint is made at
_SYNCHRONOUS_FULL = 2
_FAULTS_SHOWN = 3


def check(case: Case, path: Path) -> Iterator[Finding]:
    """Yield the findings about the file; without one, only that."""
    if (absent := _replaced(path) or _missing(path)) is not None:
        yield absent
        yield from (not_checked(name, "there is no database") for name in CHECKS[1:])
        return
    yield _file(path)
    yield file_modes.check("database_private", [path])
    yield _file_system(path)
    yield _disk_space(path)
    yield _inodes(path)
    yield _wal_size(path)
    yield from guarded(
        [
            ("journal_mode", partial(_journal_mode, case, path)),
            ("synchronous", _synchronous),
            ("integrity", partial(_integrity, case, path)),
        ]
    )


def _replaced(path: Path) -> Finding | None:
    try:
        assert_whole(path)
    except OSError:  # its folder may not be entered
        return None
    except StorageError as error:
        advice = "Until it ends, or is given again, no service starts with this database (docs/backup.md)."
        return wrong("database_file", str(error), advice)
    return None


def _missing(path: Path) -> Finding | None:
    advice = "Start the service once, or mend POSTBACK_DATABASE_URL; a relative path is from the working directory."
    try:
        if path.is_file():
            return None
    except OSError as error:  # its folder may not be entered
        return wrong("database_file", f"{path.absolute()}: {error.strerror}", advice)
    return wrong("database_file", f"there is no database at {path.absolute()}", advice)


def _file(path: Path) -> Finding:
    status = path.stat()
    mode, sentence = stat.S_IMODE(status.st_mode), f"{path.absolute()}, {stat.filemode(status.st_mode)}"
    advice = "The service must be able to write the file and its folder: mend owner, mode or mount."
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return wrong("database_file", f"{path.absolute()} is on a file system mounted read-only", advice)
    if not mode & path.parent.stat().st_mode & stat.S_IWUSR:  # root could all the same, and the service seldom is root
        return wrong("database_file", f"{sentence}: it or its folder is read-only, even for the owner", advice)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        return wrong("database_file", f"{sentence}: this user ({os.geteuid()}) may not write it or its folder", advice)
    if mode & stat.S_IWOTH:
        return warning("database_file", f"{sentence}: everybody may write it", f"chmod o-w {path}")
    if os.geteuid() not in (0, status.st_uid):
        advice = "Run doctor as the service's user: files that it leaves beside the database must be the service's."
        return warning("database_file", f"{sentence}: it belongs to user {status.st_uid}, not {os.geteuid()}", advice)
    return ok("database_file", f"{sentence}, writable")


def _file_system(path: Path) -> Finding:
    kind = _kind_of_file_system(path)
    if kind is None:
        return not_checked("file_system", "this machine does not tell what file system holds the database")
    if kind in _NETWORK:
        advice = "Move the database to a local disk: SQLite's WAL needs shared memory and locks that work."
        return wrong("file_system", f"{kind} is a network file system", advice)
    if kind in _MEMORY:
        advice = "Move the database to a disk: what is acknowledged is lost when the machine stops."
        return wrong("file_system", f"{kind} is memory", advice)
    if kind == "overlay":
        advice = "Put the database on a volume: a container's own layer goes with the container."
        return warning("file_system", "overlay: a container's own layer", advice)
    return ok("file_system", f"{kind}, local")


def _kind_of_file_system(path: Path) -> str | None:
    """Return the type of the mount whose device holds the file, as in proc(5): `… major:minor … - type source …`."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return found[-1] if found else None


def _disk_space(path: Path) -> Finding:
    space = measure_space(path)
    share = space.free / space.capacity if space.capacity else 0.0
    sentence = f"{_megabytes(space.free)} free of {_megabytes(space.capacity)} ({share:.0%})"
    advice = "Make room: on a full disk every postback is answered 503."
    bad = share < _LITTLE or space.free < _LITTLE_BYTES
    return graded("disk_space", sentence, advice, bad=bad, doubtful=share < _SOME)


def _inodes(path: Path) -> Finding:
    system = os.statvfs(path.parent)
    if not system.f_files:
        return not_checked("inodes", "this file system has no fixed number of them")
    share = system.f_favail / system.f_files
    advice = "Delete small files on this file system: the WAL cannot be created without a free inode."
    return graded("inodes", f"{share:.0%} are free", advice, bad=share < _LITTLE, doubtful=share < _SOME)


def _wal_size(path: Path) -> Finding:
    wal = measure_space(path).wal
    advice = "Something reads for a long time and keeps it from shrinking: see PostbackWalGrowing."
    return graded("wal_size", f"{_megabytes(wal)}", advice, bad=False, doubtful=wal > _LARGE_WAL)


def _journal_mode(case: Case, path: Path) -> Finding:
    with SqliteAudit(path, case.seconds) as audit:
        mode = audit.journal_mode()
    advice = "The service sets it at its start: another program changed it. Restart the service, find the program."
    sentence = f"{mode}" if mode == "wal" else f"{mode} instead of wal"
    return graded("journal_mode", sentence, advice, bad=mode != "wal", doubtful=False)


def _synchronous() -> Finding:
    """Check a new connection on a scratch file: the setting belongs to a connection and is not kept in the file."""
    with tempfile.TemporaryDirectory() as scratch, closing(connect_writer(Path(scratch) / "scratch.db")) as connection:
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
    sentence = "FULL, as this code sets it (tried on a scratch file; a running connection does not tell its own)"
    if level != _SYNCHRONOUS_FULL:
        return wrong("synchronous", f"{level} instead of 2 (FULL)", "This SQLite does not do as told: replace it.")
    return ok("synchronous", sentence)


def _integrity(case: Case, path: Path) -> Finding:
    with SqliteAudit(path, case.seconds) as audit:
        damage = audit.damage(deep=case.choices.deep)
    advice = "The file is damaged: stop the service, keep a copy, restore a backup or use sqlite3's .recover."
    if damage:
        return wrong("integrity", "; ".join(damage[:_FAULTS_SHOWN]), advice)
    looked = "every page and index is whole" if case.choices.deep else "every page is whole (indexes: with --deep)"
    return ok("integrity", looked)


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"  # noqa: PLR2004 - a gigabyte
