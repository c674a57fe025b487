"""Owns the question which click ids wait in the journals of a directory, and since when.

The journals themselves are asked, own and others', beside the processes that have them: only while a flag says that
something waits there.
"""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

from service.core.unavailable import StorageError
from service.spool.flags import Flags
from service.spool.reading import connect
from service.storage.sqlite.file import identities

_AMONG = """
    SELECT DISTINCT click_id FROM entry WHERE outcome = 'spooled' AND click_id IN (SELECT value FROM json_each(?))
"""
_OLDEST = """
    SELECT click_id, appended_at, received_at, request_id FROM entry WHERE seq IN (
        SELECT min(seq) FROM entry WHERE outcome = 'spooled' AND click_id IN (SELECT value FROM json_each(?))
        GROUP BY click_id)
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUSY_SECONDS = 0.05  # newcomers wait: a reader meets a lock only while a journal is opened or closed


class Came(NamedTuple):
    """When an entry came (Unix nanoseconds), and among those of one moment its request id: which of two was earlier."""

    at: int
    request_id: str

    @classmethod
    def of(cls, appended_at: int | None, received_at: str, request_id: str) -> Self:
        """Return it by the host's clock; of what the version before appended, by the moment of its arrival."""
        return cls(appended_at or _nanoseconds(datetime.fromisoformat(received_at)), request_id)


class _Reader(NamedTuple):
    connection: sqlite3.Connection
    file: list[tuple[int, int]]


class WaitingClickIds:
    """Looks into every journal of a directory. Both questions block, and each is asked by one thread at a time."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._readers: dict[Path, _Reader] = {}

    def anything(self) -> bool:
        """Say whether anything waits; this does not block."""
        return self._flags.any()

    def among(self, click_ids: Collection[str]) -> frozenset[str]:
        """Return those of the click ids that wait. Rejections of theirs do not count: their order decides nothing."""
        asked = json.dumps([*click_ids])
        return frozenset(chain.from_iterable(self._held(path, asked) for path in self._flags.waiting()))

    def oldest(self, click_ids: Collection[str], but: Collection[Path]) -> dict[str, Came]:
        """Return when the oldest entry of each click id came that waits in another journal than these.

        Of several journals the earliest. One that cannot be read is left out: nobody can drain it either.
        """
        found: dict[str, Came] = {}
        for path in self._flags.waiting():
            if path not in but:
                with suppress(sqlite3.Error, StorageError), closing(connect(path)) as connection:
                    for click_id, *columns in connection.execute(_OLDEST, (json.dumps([*click_ids]),)):
                        came = Came.of(*columns)
                        found[click_id] = min(came, found.get(click_id, came))
        return found

    def close(self) -> None:
        """Close the connections, before their journals' locks are given back."""
        while self._readers:
            self._readers.popitem()[1].connection.close()

    def _held(self, path: Path, asked: str) -> list[str]:
        """Return those that wait in one journal; none if it cannot be read, or nobody would be served any more."""
        try:
            return [click_id for (click_id,) in self._reader(path).execute(_AMONG, (asked,))]
        except (sqlite3.Error, StorageError):
            if reader := self._readers.pop(path, None):
                reader.connection.close()
            return []

    def _reader(self, path: Path) -> sqlite3.Connection:
        reader, file = self._readers.get(path), identities([path])
        if reader and reader.file == file:
            return reader.connection
        if reader:
            reader.connection.close()
        self._readers[path] = _Reader(connect(path, _BUSY_SECONDS), file)
        return self._readers[path].connection


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
