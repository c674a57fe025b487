"""Owns the questions that `doctor` asks a database: is it ours, and is everything in it accounted for.

Read-only, on a connection of its own, within a number of seconds: a long read keeps SQLite's write-ahead log from
shrinking, and PostgreSQL's tables from being vacuumed. What only one engine can be asked is in its own module.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import TracebackType
from typing import NamedTuple, Self

from service.core.decoding import END_OF_TIME, FIRST_MOMENT
from service.core.outcome import Outcome
from service.storage.deletions.book import Reason
from service.storage.schema.registry import CORRECTION, KEY, OF_POSTBACKS, REJECTED
from service.storage.schema.registry import TABLES as DECLARED
from service.storage.spooling import SPOOL

KEPT = {table.name: table.outcome.value for table in OF_POSTBACKS if table.outcome}
TABLES = tuple(table.name for table in OF_POSTBACKS)

Value = str | int | bytes | datetime | None


class Window(NamedTuple):
    """What rows are counted against: `process` begins the request ids of one process, which started at `started`."""

    process: str
    started: datetime
    now: datetime


class Counts(NamedTuple):
    """The rows of one table under one outcome.

    `own` were written by the window's process; `foreign` arrived live after it started, and it did not write them;
    `future` are from after now; `last_day` from the day before now; `out_of_bounds` from a time that no door takes.
    `deleted` were its own, and the book of deletions has them; `dropped` were answered so by it, and the book has that
    they never became rows: not kept, or erased while they waited in a spool.
    """

    rows: int
    own: int
    foreign: int
    future: int
    last_day: int
    out_of_bounds: int = 0
    deleted: int = 0
    dropped: int = 0

    @property
    def written(self) -> int:
        """Return how many rows the window's process wrote: what is left of them, and what is known to be deleted."""
        return self.own + self.deleted


class Audit(ABC):
    """Questions to one database, which may be being written; as a context manager it opens and closes the connection.

    All raise StorageError: its kind is INTERRUPTED when the seconds given at the opening did not suffice. `sha256` is
    how this engine hashes the column click_id, as the book of deletions has it; `now` is the moment by the clock that
    dates erasures; `earlier` is how it says `{moment}` less `{seconds}`, `contains` how it asks whether `{raw}` has
    `{text}` in it.
    """

    sha256: str
    now: str
    earlier: str
    contains: str

    @abstractmethod
    def __enter__(self) -> Self:
        """Connect."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, and end what was read."""

    @abstractmethod
    def pin(self) -> None:
        """Answer all that follows from the database's state at this moment."""

    @abstractmethod
    def schema_version(self) -> str:
        """Return the migration that the database is at; empty when it never was migrated."""

    @abstractmethod
    def columns(self, table: str) -> dict[str, bool]:
        """Return a table's columns, each with whether it is part of the primary key; empty without the table."""

    @abstractmethod
    def rows(self, statement: str, **parameters: Value) -> list[tuple[Value, ...]]:
        """Ask a question; parameters are `:named`."""

    @abstractmethod
    def moment(self, moment: datetime) -> Value:
        """Return a UTC moment as a parameter that compares with the tables' moments."""

    def schema_faults(self) -> list[str]:
        """Return in what the tables differ from the declared ones: columns, and the keys that make unique."""
        faults = []
        for table in DECLARED:
            declared = {column.name: column.primary_key for column in table.table.columns}
            found = self.columns(table.name)
            if not found:
                faults.append(f"there is no table {table.name}")
            elif found != declared:
                differing = sorted(column for column, _ in found.items() ^ declared.items())
                faults.append(f"{table.name} differs in {', '.join(dict.fromkeys(differing))}")
        return faults

    def probed_at(self) -> str | None:
        """Return when readiness last wrote here, None before the first time."""
        newest = self.rows("SELECT max(probed_at) FROM write_probe")[0][0]
        return None if newest is None else str(newest)

    def trusted_at(self) -> datetime | None:
        """Return when retention's clock was last believed, None before the first start."""
        for (value,) in self.rows("SELECT trusted_at FROM trusted_clock"):
            moment = datetime.fromisoformat(str(value))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return None

    def holds(self, request_id: str) -> bool:
        """Say whether a rejected postback is kept under this request id."""
        return bool(self.rows("SELECT 1 FROM rejected_postback WHERE request_id = :id", id=request_id))

    def counts(self, window: Window) -> dict[str, Counts]:
        """Return the counts by outcome: `stored` from conversions, and so on. Reads every row of the four tables."""
        bounds: dict[str, Value] = {
            "process": window.process,
            "end": f"{window.process}g" if window.process else "",  # ids are hex digits, which `g` ends
            "started": self.moment(window.started),
            "now": self.moment(window.now),
            "yesterday": self.moment(window.now - timedelta(days=1)),
            **self._bounds(),
        }
        found: dict[str, Counts] = {}
        for table in TABLES:
            for outcome, *numbers in self.rows(_counting(table), **bounds):
                if numbers[0]:
                    found[str(outcome)] = Counts(*(int(str(number)) for number in numbers))
        for outcome, deleted, dropped in self.rows(_DELETED, process=window.process, spool=SPOOL, not_kept=_NOT_KEPT):
            left = found.get(str(outcome), _NONE)
            found[str(outcome)] = left._replace(deleted=int(str(deleted)), dropped=int(str(dropped)))
        return found

    def out_of_bounds(self, table: str, limit: int) -> list[str]:
        """Return the first request ids of a table's rows whose time no door takes, so many at most."""
        statement = f"SELECT request_id FROM {table} WHERE {_OUT_OF_BOUNDS} ORDER BY request_id LIMIT :limit"  # noqa: S608 - our own names
        return [str(request_id) for (request_id,) in self.rows(statement, limit=limit, **self._bounds())]

    def _bounds(self) -> dict[str, Value]:
        return {"first": self.moment(FIRST_MOMENT), "end_of_time": self.moment(END_OF_TIME)}

    def orphans(self) -> dict[str, int]:
        """Return how many rows have no conversion that they repeat, change or correct, by outcome or `correction`.

        A kept conflict has no goal and transaction_id of its own: any conversion of its sender and click id will do.
        """
        return {
            Outcome.UPDATED.value: self._number(_orphaned("status_change")),
            Outcome.DUPLICATE.value: self._number(_orphaned("duplicate")),
            Outcome.CONFLICT.value: self._number(_ORPHANED_CONFLICTS),
            CORRECTION.name: self._number(_orphaned(CORRECTION.name)),
        }

    def erased_rows(self) -> dict[str, int]:
        """Return by table how many rows came before their click id was erased. Import may bring such a row back.

        An erasure that is dated in the future tells nothing of what came before it.
        """
        if not self._number(f"SELECT count(*) FROM deletion WHERE {_AN_ERASURE}"):  # noqa: S608 - our own names
            return {}
        return {table: self._number(_erased(table, self.sha256, self.now)) for table in TABLES}

    def future_erasures(self) -> list[str]:
        """Return the runs of the book that erased a click id at a moment that is still to come."""
        statement = f"SELECT DISTINCT run FROM deletion WHERE {_AN_ERASURE} AND deleted_at > {self.now} ORDER BY run"  # noqa: S608 - our own names
        return [str(run) for (run,) in self.rows(statement)]

    def repeated_keys(self) -> int:
        """Return how many keys have more than one conversion (law 3)."""
        key = ", ".join(KEY)
        return self._number(
            f"SELECT count(*) FROM (SELECT 1 FROM conversion GROUP BY {key} HAVING count(*) > 1) AS repeated"  # noqa: S608 - our own names
        )

    def repeated_request_ids(self) -> int:
        """Return how many request ids have more than one row, in whatever tables: one postback, two outcomes (law 2).

        Sorts every request id.
        """
        every = " UNION ALL ".join(f"SELECT request_id FROM {table}" for table in TABLES)  # noqa: S608 - our own names
        return self._number(
            f"SELECT count(*) FROM (SELECT 1 FROM ({every}) AS ids GROUP BY request_id HAVING count(*) > 1) AS repeated"  # noqa: S608 - our own names
        )

    def _number(self, statement: str) -> int:
        return int(str(self.rows(statement)[0][0]))


def of_table(table: str, counts: Mapping[str, Counts]) -> Counts:
    """Add up the outcomes that one table keeps."""
    chosen = [found for outcome, found in counts.items() if _table_of(outcome) == table]
    return Counts(*(sum(numbers) for numbers in zip(*chosen, strict=True))) if chosen else _NONE


def unknown_outcomes(counts: Mapping[str, Counts]) -> list[str]:
    """Return the words in `rejected_postback` that are no outcome whose input is kept."""
    known = {*KEPT.values(), *(outcome.value for outcome in Outcome if outcome.kept)}
    return sorted({outcome for outcome, found in counts.items() if found.rows} - known)


def _table_of(outcome: str) -> str:
    return next((table for table, kept in KEPT.items() if kept == outcome), REJECTED.name)


def _orphaned(table: str) -> str:
    matched = " AND ".join(f"conversion.{column} = {table}.{column}" for column in KEY)
    return f"SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT 1 FROM conversion WHERE {matched})"  # noqa: S608 - our own names


def _erased(table: str, sha256: str, now: str) -> str:
    between = f"deletion.deleted_at BETWEEN {table}.received_at AND {now}"
    erased = f"deletion.click_id_sha256 = {sha256} AND {between}"
    came = f"{table}.door <> 'import' AND EXISTS (SELECT 1 FROM deletion WHERE {erased})"  # noqa: S608 - our own names
    return f"SELECT count(*) FROM {table} WHERE click_id IS NOT NULL AND {came}"  # noqa: S608 - our own names


@cache
def _counting(table: str) -> str:
    outcome, group = (f"'{KEPT[table]}'", "") if table in KEPT else ("outcome", " GROUP BY outcome")
    own = "request_id >= :process AND request_id < :end"
    counted = (
        own,
        f"received_at > :started AND NOT ({own}) AND {_LIVE}",
        "received_at > :now",
        _LAST_DAY,
        _OUT_OF_BOUNDS,
    )
    columns = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in counted)
    return f"SELECT {outcome}, count(*), {columns} FROM {table}{group}"  # noqa: S608 - our own names


_NOT_KEPT = Reason.NOT_KEPT.value
_NONE = Counts(0, 0, 0, 0, 0)
_DELETED = """
    SELECT outcome, coalesce(sum(rows) FILTER (WHERE table_name <> :spool AND reason <> :not_kept), 0),
        coalesce(sum(rows) FILTER (WHERE table_name = :spool OR reason = :not_kept), 0)
    FROM deletion WHERE process = :process AND process <> '' AND table_name <> 'replay'
    GROUP BY outcome
"""
_AN_ERASURE = "click_id_sha256 IS NOT NULL"
_LIVE = "door NOT IN ('import', 'replay')"  # those bring moments of their own
_LAST_DAY = "received_at > :yesterday AND received_at <= :now"
_OUT_OF_BOUNDS = "NOT (received_at >= :first AND received_at < :end_of_time)"
_ORPHANED_CONFLICTS = """
    SELECT count(*) FROM rejected_postback WHERE outcome = 'conflict' AND NOT EXISTS (
        SELECT 1 FROM conversion
        WHERE conversion.sender = rejected_postback.sender AND conversion.is_test IN (FALSE, TRUE)
          AND conversion.click_id = rejected_postback.click_id)
"""
