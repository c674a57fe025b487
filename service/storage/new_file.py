"""Owns how a file comes to be: for this user only, under a name that nobody can guess, and named when it is whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PRIVATE = 0o600
_BESIDE = ("", "-journal", "-wal", "-shm")  # what SQLite puts beside a file, where it is a database


@contextmanager
def new_file(target: Path, *, replaces: bool = False) -> Iterator[Path]:
    """Give an empty file beside the target; when it was written, make it durable and give it the target's name.

    No link is followed, and of a failure nothing is left. Raises FileExistsError if the target is there and is not to
    be replaced, and OSError.
    """
    if not replaces and os.path.lexists(target):
        raise FileExistsError(f"{target} is there already")
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE))
        yield part
        sync(part)
        if replaces:
            part.replace(target)
        else:
            _name(part, target)
        sync(target.parent)
    finally:
        for suffix in _BESIDE:
            Path(f"{part}{suffix}").unlink(missing_ok=True)


def _name(part: Path, target: Path) -> None:
    """Give a file its name, and replace nothing that came meanwhile."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without a second name for a file
        if os.path.lexists(target):
            raise FileExistsError(f"{target} is there already") from None
        part.rename(target)


def sync(path: Path) -> None:
    """Make a file durable, or the names in a directory. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
