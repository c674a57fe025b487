"""Owns the flags that say in which journals of a SPOOL_DIR something waits: a byte for each, in a file that all map.

Who has a journal sets its flag before it appends, and clears it when nothing waits. So whoever sees no flag may pass,
and looking costs next to nothing. A kill leaves the flags as they were; a journal's is set anew when it is opened.
"""

import os
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from service.core.unavailable import ErrorKind, StorageError
from service.spool.places import MOST_PLACES, path_at, place_of

FILE_NAME = "waiting"
_BYTES = 4096  # one block: the byte that is written at its end makes room for all of it
_NONE = bytes(MOST_PLACES)


class Flags:
    """The flags of one directory. Any thread may look; who has a journal sets its flag, which may block."""

    def __init__(self, spool_directory: Path) -> None:
        """Open the file, made if need be. Raises StorageError."""
        self._directory = spool_directory
        path = spool_directory / FILE_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, b"\0", _BYTES - 1)
            self._bytes = mmap(self._descriptor, MOST_PLACES, access=ACCESS_READ)
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}", ErrorKind.CANTOPEN) from error

    def any(self) -> bool:
        """Say whether anything waits."""
        return self._bytes[:] != _NONE

    def waiting(self) -> Iterator[Path]:
        """Yield the journals in which something waits, or did until a moment ago."""
        for place, flag in enumerate(self._bytes[:]):
            if flag:
                yield path_at(self._directory, place)

    def set(self, journal: Path, *, waits: bool) -> None:
        """Say whether something waits in a journal. Raises OSError."""
        place = place_of(journal)
        if place is not None and self._bytes[place] != waits:
            os.pwrite(self._descriptor, bytes([waits]), place)

    def close(self) -> None:
        """Set no flag any more; looking goes on."""
        os.close(self._descriptor)
