"""Owns corrections: whole histories of conversions as they are kept, and rows that say how they are read instead."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, func, select, text, tuple_

from service.core.chunk import CHUNK_BYTES, next_chunk
from service.core.postback import ConversionKey
from service.core.rereading import History, Kept
from service.core.verdict import Change, Correction, Winner, with_history
from service.storage.pool import Pool
from service.storage.reads.conversions import Wanted, page_after
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.history import FIRST
from service.storage.schema.registry import CHANGE, CONVERSION, CORRECTION, DUPLICATE, KEY, StoredTable
from service.storage.turns import IMMEDIATE, Turns, take_turn

_PAGE_ROWS = 500  # conversions in one transaction

_INSERT = text(f"""
    INSERT INTO correction ({", ".join(CORRECTION.columns)})
    VALUES ({", ".join(f":{name}" for name in CORRECTION.columns)}) ON CONFLICT DO NOTHING
""").bindparams(bindparam("corrected_at", type_=UtcDateTime))  # noqa: S608 - our own names


class Occasion(NamedTuple):
    """When, by whom and why conversions are read again."""

    at: datetime
    by: str
    reason: str


class Corrections:
    """Reads histories, and adds corrections to them. Every method may block and raises StorageError.

    On SQLite it may write only while this process holds the file's lock. Each write is one transaction at its turn, and
    can be repeated.
    """

    def __init__(self, reads: Pool, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        self._reads = reads
        self._writes = writes
        self._turns = turns

    def histories(self, wanted: Wanted, sender: str, most: int = _PAGE_ROWS) -> Iterator[list[History]]:
        """Walk through the chosen conversions of a sender, tests left out; a page is a short read of `most` of them."""
        last: tuple[str, str, str] | None = None
        while True:
            with self._reads.connection() as connection:
                query = page_after(last, wanted, sender, most, is_test=False)
                with connection.execute(query) as found:
                    rows, _ = next_chunk(found.mappings(), most, _size, CHUNK_BYTES)
                page = _histories(connection, rows)
            if not page:
                return
            yield page
            last = page[-1].key[2:]

    def stored(self, keys: Sequence[ConversionKey]) -> set[ConversionKey]:
        """Return those of some keys under which there is a conversion."""
        key = [CONVERSION.table.c[name] for name in KEY]
        with self._reads.connection() as connection:
            return {_key(row) for row in connection.execute(select(*key).where(tuple_(*key).in_(keys))).mappings()}

    def repeats(self, keys: Sequence[ConversionKey]) -> int:
        """Return how often conversions of some keys came again, as duplicates."""
        columns = DUPLICATE.table.c
        same = tuple_(*(columns[name] for name in KEY)).in_(keys)
        repeats = select(func.count()).where(columns.click_id.in_({key[2] for key in keys}), same)
        with self._reads.connection() as connection:
            return int(connection.execute(repeats).scalar_one())

    def add(self, corrections: Iterable[tuple[ConversionKey, Sequence[Correction]]], occasion: Occasion) -> int:
        """Add corrections to the conversions that are still there, and return to how many. What was added stays."""
        wanted = dict(corrections)
        return take_turn(self._turns, lambda: self._add(wanted, occasion)) if wanted else 0

    def _add(self, corrections: Mapping[ConversionKey, Sequence[Correction]], occasion: Occasion) -> int:
        """Whoever erases a conversion meanwhile waits for this, or has erased it before: nothing of it is left."""
        key = [CONVERSION.table.c[name] for name in KEY]
        there = select(*key).where(tuple_(*key).in_(list(corrections))).with_for_update(read=True, key_share=True)
        with self._writes.transaction() as connection:
            keys = [tuple(row) for row in connection.execute(there)]
            rows = [
                dict(zip(KEY, one, strict=True)) | correction._asdict() | _told(occasion)
                for one in keys
                for correction in corrections[one]
            ]
            if rows:
                connection.execute(_INSERT, rows)
        return len(keys)


def _told(occasion: Occasion) -> dict[str, object]:
    return {"corrected_at": occasion.at, "corrected_by": occasion.by, "reason": occasion.reason}


def _histories(connection: Connection, rows: Sequence[RowMapping]) -> list[History]:
    """Return the conversions of one page with all that was written of them afterwards."""
    if not rows:
        return []
    winners = {_key(row): Winner(**{name: row[name] for name in FIRST}) for row in rows}
    kept = defaultdict(list, {_key(row): [_kept(row)] for row in rows})
    first, last = _key(rows[0]), _key(rows[-1])
    for change in connection.execute(_between(CHANGE, first, last)).mappings():
        if (key := _key(change)) in winners:
            with_history(winners, [(key, Change(**{name: change[name] for name in Change._fields}))])
            kept[key].append(_kept(change))
    corrections = connection.execute(_between(CORRECTION, first, last)).mappings()
    with_history(
        winners,
        (
            (_key(row), Correction(**{name: row[name] for name in Correction._fields}))
            for row in corrections
            if _key(row) in winners
        ),
    )
    return [History(key, winner, kept[key]) for key, winner in winners.items()]


def _between(table: StoredTable, first: ConversionKey, last: ConversionKey) -> Any:
    """Return the query for what a table has of the conversions between two keys, in its key's order."""
    columns = table.table.c
    place = [columns[name] for name in KEY]
    return select(table.table).where(tuple_(*place) >= first, tuple_(*place) <= last).order_by(*table.table.primary_key)


def _key(row: RowMapping) -> ConversionKey:
    sender, is_test, click_id, goal, transaction_id = (row[name] for name in KEY)
    return sender, is_test, click_id, goal, transaction_id


def _kept(row: RowMapping) -> Kept:
    return Kept(row["params"], row["received_at"], row["request_id"])


def _size(row: RowMapping) -> int:
    return len(orjson.dumps(row["params"]))
