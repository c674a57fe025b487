"""Owns the mark beside a database that is being replaced: nobody opens it meanwhile, nor after that was cut off.

The mark is locked while a restore is under way. It is written in before the old file moves: from then on only a whole
restore makes things right again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageError
from service.storage.new_file import sync

_PRIVATE = 0o600


def assert_whole(path: Path) -> None:
    """Raise StorageError while a restore replaces the file, or if one was cut off. Raises OSError."""
    try:
        mark = _mark(path).open("rb")
    except FileNotFoundError:
        return
    with closing(mark):
        try:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"a restore of {path} is under way: wait until it ends", ErrorKind.RESTORING) from None
        if mark.read() and os.fstat(mark.fileno()).st_nlink:
            raise StorageError(f"a restore of {path} was cut off: give it again", ErrorKind.RESTORING)


@contextmanager
def restoring(path: Path) -> Iterator[Callable[[], None]]:
    """Keep everybody else from opening the file; what is given is to be called before it moves.

    Raises OSError, and StorageError while another restore is under way.
    """
    mark = _mark(path)
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"another restore of {path} is under way", ErrorKind.CANTOPEN) from None
        try:
            yield partial(_write, descriptor, path.parent)
        except BaseException:
            if not os.fstat(descriptor).st_size:
                mark.unlink(missing_ok=True)
            raise
        mark.unlink(missing_ok=True)
        sync(path.parent)
    finally:
        os.close(descriptor)


def _write(descriptor: int, directory: Path) -> None:
    os.pwrite(descriptor, b"the old file has moved, or is about to\n", 0)
    os.fsync(descriptor)
    sync(directory)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")
