"""Owns the questions that `doctor` asks a SQLite file: is it whole, is it ours, and is everything in it accounted for.

Read-only, on a connection of its own that can neither write nor checkpoint, within a number of seconds: a long read
keeps the write-ahead log from shrinking.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from service.outcome import Outcome
from service.storage import migrations, tables  # noqa: F401 - declares the metadata
from service.storage.engine import NO_DATABASE, StorageError
from service.storage.sqlite_file import storage_error

INTERRUPTED = "SQLITE_INTERRUPT"  # the kind of StorageError that says: not answered within the seconds given
KEPT = {"conversion": Outcome.STORED.value, "duplicate": Outcome.DUPLICATE.value}
REJECTED = "rejected_postback"
TABLES = (*KEPT, REJECTED)

_STEPS = 10_000  # of SQLite's virtual machine, between two looks at the clock: well under a millisecond
_BUSY_SECONDS = 2.0
_KEY = ("sender", "is_test", "click_id", "goal", "transaction_id")
_FAULTS_SHOWN = 3


class Window(NamedTuple):
    """What rows are counted against: `process` begins the request ids of one process, which started at `started`."""

    process: str
    started: datetime
    now: datetime


class Counts(NamedTuple):
    """The rows of one table under one outcome.

    `own` were written by the window's process; `foreign` arrived after it started, and it did not write them; `future`
    are from after now; `last_day` from the day before now.
    """

    rows: int
    own: int
    foreign: int
    future: int
    last_day: int


class Audit:
    """Questions to one file, which may be being written; as a context manager it opens and closes the connection.

    All raise StorageError: its kind is INTERRUPTED when `seconds` since the opening did not suffice (None: no bound).
    """

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self._path = path
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Open the file."""
        if not self._path.exists():
            raise StorageError(f"there is no database at {self._path}", NO_DATABASE)
        with _told():
            self._connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
        if self._seconds is not None:
            deadline = time.monotonic() + self._seconds
            self._connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and end what it read."""
        self._connection.close()

    def pin(self) -> None:
        """Answer all that follows from the file's state at this moment."""
        self._rows("BEGIN")
        self._rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def journal_mode(self) -> str:
        """Return how the file is journaled: `wal` in a file of ours."""
        return str(self._rows("PRAGMA journal_mode")[0][0])

    def damage(self, *, deep: bool) -> list[str]:
        """Return what is broken in the file's structure; `deep` compares every index with its table as well."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check" if deep else "PRAGMA quick_check")]
        return [] if found == ["ok"] else found

    def schema_version(self) -> str:
        """Return the migration that the file is at; empty when it never was migrated."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"):
            return ""
        return ", ".join(str(row[0]) for row in self._rows("SELECT version_num FROM alembic_version"))

    def schema_faults(self) -> list[str]:
        """Return in what the file's tables differ from the declared ones: columns, and the keys that make unique."""
        faults = []
        for name, table in SQLModel.metadata.tables.items():
            declared = {column.name: column.primary_key for column in table.columns}
            found = {str(row[1]): bool(row[5]) for row in self._rows(f"PRAGMA table_info({name})")}
            if not found:
                faults.append(f"there is no table {name}")
            elif found != declared:
                differing = sorted(column for column, _ in found.items() ^ declared.items())
                faults.append(f"{name} differs in {', '.join(dict.fromkeys(differing))}")
        return faults

    def probed_at(self) -> str | None:
        """Return when readiness last wrote into this file, None before the first time."""
        return next((str(row[0]) for row in self._rows("SELECT probed_at FROM write_probe")), None)

    def holds(self, request_id: str) -> bool:
        """Say whether a rejected postback is kept under this request id; looked for among the newest only."""
        newest = "SELECT request_id FROM rejected_postback ORDER BY id DESC LIMIT 10000"
        return bool(self._rows(f"SELECT 1 FROM ({newest}) WHERE request_id = ?", request_id))  # noqa: S608 - a constant

    def counts(self, window: Window) -> dict[str, Counts]:
        """Return the counts by outcome: `stored` from conversions, and so on. Reads every row of the three tables."""
        found: dict[str, Counts] = {}
        for table in TABLES:
            for outcome, *numbers in self._rows(_counting(table), *_bounds(window)):
                found[str(outcome)] = Counts(*(int(number or 0) for number in numbers))
        return found

    def orphans(self) -> dict[str, int]:
        """Return how many duplicates and conflicts have no conversion that they repeat, by outcome.

        A kept conflict has no goal and transaction_id of its own: any conversion of its sender and click id will do.
        """
        return {
            Outcome.DUPLICATE.value: self._number(_ORPHANED_DUPLICATES),
            Outcome.CONFLICT.value: self._number(_ORPHANED_CONFLICTS, Outcome.CONFLICT.value),
        }

    def repeated_keys(self) -> int:
        """Return how many keys have more than one conversion (law 3)."""
        key = ", ".join(_KEY)
        return self._number(f"SELECT count(*) FROM (SELECT 1 FROM conversion GROUP BY {key} HAVING count(*) > 1)")  # noqa: S608 - our own names

    def repeated_request_ids(self) -> int:
        """Return how many request ids have more than one row, in whatever tables: one postback, two outcomes (law 2).

        Sorts every request id.
        """
        rows = " UNION ALL ".join(f"SELECT request_id FROM {table}" for table in TABLES)  # noqa: S608 - our own names
        return self._number(f"SELECT count(*) FROM (SELECT 1 FROM ({rows}) GROUP BY request_id HAVING count(*) > 1)")  # noqa: S608 - our own names

    def _number(self, statement: str, *parameters: str) -> int:
        return int(str(self._rows(statement, *parameters)[0][0]))

    def _rows(self, statement: str, *parameters: str) -> list[tuple[str | int | None, ...]]:
        with _told():
            return self._connection.execute(statement, parameters).fetchall()


def newest_version() -> str:
    """Return the migration that this code brings a file to."""
    return str(ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head())


def of_table(table: str, counts: Mapping[str, Counts]) -> Counts:
    """Add up the outcomes that one table keeps."""
    chosen = [found for outcome, found in counts.items() if _table_of(outcome) == table]
    return Counts(*(sum(numbers) for numbers in zip(*chosen, strict=True))) if chosen else Counts(0, 0, 0, 0, 0)


def unknown_outcomes(counts: Mapping[str, Counts]) -> list[str]:
    """Return the words in `rejected_postback` that are no outcome whose input is kept."""
    known = {*KEPT.values(), *(outcome.value for outcome in Outcome if outcome.kept)}
    return sorted(set(counts) - known)


def _table_of(outcome: str) -> str:
    return next((table for table, kept in KEPT.items() if kept == outcome), REJECTED)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error) from error


@cache
def _counting(table: str) -> str:
    outcome, group = (f"'{KEPT[table]}'", "") if table in KEPT else ("outcome", " GROUP BY outcome")
    own = "request_id >= ?1 AND request_id < ?2"
    return (
        f"SELECT {outcome}, count(*), sum({own}), sum(received_at > ?3 AND NOT ({own})), "  # noqa: S608 - our own names
        f"sum(received_at > ?4), sum(received_at > ?5 AND received_at <= ?4) FROM {table}{group}"
    )


def _bounds(window: Window) -> tuple[str, ...]:
    """Return the window as the texts that the tables hold: hex digits, which `g` ends, and UTC."""
    moments = (window.started, window.now, window.now - timedelta(days=1))
    texts = (moment.isoformat(" ", "microseconds")[:26] for moment in moments)
    return (window.process, f"{window.process}g" if window.process else "", *texts)


_MATCHED = " AND ".join(f"conversion.{column} = duplicate.{column}" for column in _KEY)
_ORPHANED_DUPLICATES = f"SELECT count(*) FROM duplicate WHERE NOT EXISTS (SELECT 1 FROM conversion WHERE {_MATCHED})"  # noqa: S608 - our own names
_ORPHANED_CONFLICTS = """
    SELECT count(*) FROM rejected_postback WHERE outcome = ? AND NOT EXISTS (
        SELECT 1 FROM conversion
        WHERE conversion.sender = rejected_postback.sender AND conversion.is_test IN (0, 1)
          AND conversion.click_id = rejected_postback.click_id)
"""
