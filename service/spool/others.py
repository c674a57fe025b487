"""Owns the other journals of a directory: whoever serves there drains those that nobody has, a step at a time.

A process leaves its journal behind when it ends during an outage, or when fewer workers start than before. A journal is
taken for one step only: a process that starts wants it for itself.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from service.core.unavailable import StorageError
from service.spool.journal import Journal
from service.spool.ownership import Owner, anothers
from service.spool.places import journals
from service.spool.reading import Looked, look
from service.storage.sqlite.file import identities
from service.telemetry.log import Log


class _Lock:
    """The lock on a journal's file, on a descriptor that stays open.

    To close one would drop the locks that this process's SQLite has on the file, and it may be reading there.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.file = identities([path])

    def take(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let another process have it; a Journal calls this."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)


class Others:
    """The journals beside a process's own, which is open. Every method blocks; one thread at a time."""

    def __init__(self, own: Journal, log: Log) -> None:
        self.left = 0  # entries that waited there when it was last looked
        self._own = own
        self._log = log.logger
        self._locks: dict[Path, _Lock] = {}
        self._told: set[Path] = set()

    def assert_same_database(self, name: str | None) -> None:
        """Refuse the directory if somebody uses it for another database, or left postbacks for that there.

        Our database has this name, or None while nobody could ask it. Raises StorageBroken, after which the own
        journal is not used either.
        """
        ours = Owner(name, self._own.place)
        for path in self._paths():
            found = self._look(path)
            if found and not found.owner.is_for(ours) and (found.entries or self._in_use(path)):
                self._own.broken = anothers(path, found.owner, ours)
                raise self._own.broken

    def measure(self) -> None:
        """Count what was left, and set its flags: a power cut may have lost them."""
        left = 0
        for journal in self._open(self._paths()):
            left += journal.found
            journal.close()
        self.left = left

    def take(self, identity: str, *, everything: bool) -> list[Journal]:
        """Return what was left and holds entries for this database, each open until `close`.

        Those without a flag are looked into if `everything` is asked for: the version before sets none.
        """
        flagged = set(self._own.flags.waiting())
        taken, left = [], 0
        for journal in self._open(path for path in self._paths() if everything or path in flagged):
            left += journal.found
            if journal.found and self._claimed(journal, identity):
                taken.append(journal)
            else:
                journal.close()
        self.left = left
        return taken

    def close(self) -> None:
        """Close the descriptors of the locks."""
        while self._locks:
            os.close(self._locks.popitem()[1].descriptor)

    def _paths(self) -> Iterator[Path]:
        return (path for _, path in journals(self._own.path.parent.parent) if path != self._own.path)

    def _open(self, paths: Iterable[Path]) -> Iterator[Journal]:
        """Open those that nobody has and that can be opened: doctor names the others."""
        for path in paths:
            with suppress(OSError, StorageError):
                lock = self._lock(path)
                if lock.take():
                    journal = Journal(path, place=self._own.place)
                    journal.open(lock)
                    yield journal

    def _look(self, path: Path) -> Looked | None:
        try:
            return look(path)
        except StorageError:  # doctor names it
            return None

    def _claimed(self, journal: Journal, identity: str) -> bool:
        try:
            journal.claim(identity)
        except StorageError as error:
            if journal.path not in self._told:
                self._told.add(journal.path)
                self._log.critical("spool_not_drained", path=str(journal.path), reason=str(error))
            return False
        return True

    def _in_use(self, path: Path) -> bool:
        lock = self._lock(path)
        if free := lock.take():
            lock.close()
        return not free

    def _lock(self, path: Path) -> _Lock:
        lock = self._locks.get(path)
        if lock is None or lock.file != identities([path]):
            if lock:
                os.close(lock.descriptor)
            lock = self._locks[path] = _Lock(path)
        return lock
