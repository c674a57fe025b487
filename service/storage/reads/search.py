"""Owns the one search through everything that is kept: which rows name a text, whatever they were taken to be.

There is no index for it, so it reads everything, a stretch of the primary key at a time: each is a short read of its
own. The database passes over the rows that cannot name the text; the rest is decided by service.core.mentions.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BLOB,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from service.core.mentions import FEW, WRITTEN_OTHERWISE, Texts
from service.core.outcome import Outcome
from service.storage.pool import Pool
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, REJECTED, SHARED, StoredTable

STRETCH_ROWS = 20_000
STORED = (CONVERSION, CHANGE, DUPLICATE)
Advance = Callable[[int], object]  # told how many more rows were read

_FETCHED_ROWS = 50  # at once: raw input is 128 KiB at most
_LABELS = ("click_id", "goal", "transaction_id")
_KEPT = REJECTED.table.c
_SHARED, _CONTENT = SHARED.table.c.digest, SHARED.table.c.content
_BYTES = (_KEPT.raw, _CONTENT)
_FOUND_IN = {
    table.name: [table.table.c[name] for name in (*_LABELS, "params") if name in table.table.c] for table in STORED
}


def _told_of(table: StoredTable) -> tuple["Column[Any]", ...]:
    """Return the columns that `Naming` has of every row, in its order."""
    names = ("click_id", "request_id", "received_at", "drained_at", "door", "sender")
    return tuple(table.table.c[name] for name in names)


_TOLD = {table.name: _told_of(table) for table in (*STORED, REJECTED)}
_OF_REJECTED = (*_TOLD[REJECTED.name], _KEPT.outcome, _KEPT.detail, _KEPT.id)


class Naming(NamedTuple):
    """A row that names a text, and what `lookup` tells of it. `parameter` is the one that does, if one could be read.

    `click_id` is what the row was taken to be of. `id` is that of a rejected postback.
    """

    text: str
    parameter: str
    table: str
    click_id: str | None
    request_id: str
    received_at: datetime
    drained_at: datetime | None
    door: str
    sender: str | None
    outcome: str
    detail: str = ""
    id: int | None = None


class Search:
    """Reads of a database, which may be served at the same time. Every method may block, and raises StorageError."""

    def __init__(self, reads: Pool, stretch_rows: int = STRETCH_ROWS) -> None:
        self._reads = reads
        self._stretch_rows = stretch_rows

    def rejected(self, texts: Texts, advance: Advance, since: datetime | None = None) -> Iterator[list[Naming]]:
        """Yield what was not accepted and names one of the texts: as its click id or anywhere in its raw input.

        `since` is when it came, at the earliest.
        """
        joined = REJECTED.table.outerjoin(SHARED.table, _KEPT.shared == _SHARED)
        chosen = select(*_OF_REJECTED, _CONTENT, _KEPT.raw).select_from(joined)
        came = [] if since is None else [_KEPT.received_at >= since]
        for stretch in self._stretches(REJECTED, came, advance):
            with self._reads.session() as session:
                connection = session.connection()
                rows = chosen.where(*stretch, *came, *_may_name(connection, texts, [*_BYTES], _KEPT.click_id))
                yield [one for row in _read(connection, rows) for one in _of_rejected(row, texts)]

    def stored(self, texts: Texts, advance: Advance) -> Iterator[list[Naming]]:
        """Yield what is stored and names one of the texts: in its click id, its labels or its parameters."""
        for table in STORED:
            for stretch in self._stretches(table, [], advance):
                yield self._stored(table, stretch, texts)

    def _stored(self, table: StoredTable, stretch: Sequence[ColumnElement[bool]], texts: Texts) -> list[Naming]:
        told, columns = _TOLD[table.name], _FOUND_IN[table.name]
        with self._reads.session() as session:
            connection = session.connection()
            rows = select(*told, *map(_as_text, columns)).where(*stretch, *_may_name(connection, texts, columns))
            return [one for row in _read(connection, rows) for one in _of_stored(row, table, columns, texts)]

    def _stretches(
        self, table: StoredTable, came: Sequence[ColumnElement[bool]], advance: Advance
    ) -> Iterator[list[ColumnElement[bool]]]:
        """Yield the conditions for one stretch of the primary key after the other, all of it together."""
        key = [table.table.c[name] for name in table.key]
        after = self._one(select(*key).where(*came).order_by(*key).limit(1)) if came else ()
        if after is None:
            return
        begin = [tuple_(*key) >= tuple_(*after)] if after else []
        while True:
            last = self._one(select(*key).where(*begin).order_by(*key).limit(1).offset(self._stretch_rows - 1))
            yield begin if last is None else [*begin, tuple_(*key) <= tuple_(*last)]
            advance(self._stretch_rows)
            if last is None:
                return
            begin = [tuple_(*key) > tuple_(*last)]

    def _one(self, query: "Select[Any]") -> Row[Any] | None:
        with self._reads.session() as session:
            return session.connection().execute(query).first()


def _read(connection: Connection, query: "Select[Any]") -> Iterator[Row[Any]]:
    with connection.execute(query.execution_options(yield_per=_FETCHED_ROWS)) as found:
        yield from found


def _of_rejected(row: Row[Any], texts: Texts) -> Iterator[Naming]:
    raw = (row.content or b"") + row.raw
    named = texts.named_in(raw, row.click_id)
    if row.click_id is not None:
        named |= texts.named_in(_written(row.click_id), row.click_id)
    for text in named:
        yield Naming._make((text, texts.only(text).parameter_of(raw), REJECTED.name, *row[:-2]))


def _of_stored(row: Row[Any], table: StoredTable, columns: Sequence["Column[Any]"], texts: Texts) -> Iterator[Naming]:
    told, outcome = row[: -len(columns)], (table.outcome or Outcome.STORED).value
    found: dict[str, str] = {}
    for column, held in zip(columns, row[-len(columns) :], strict=True):
        for text in texts.named_in(_written(held), row.click_id):
            in_body = b"\r\n\r\n" + _written(held)
            found.setdefault(text, texts.only(text).parameter_of(in_body) if column.name == "params" else column.name)
    for text, parameter in found.items():
        yield Naming._make((text, parameter, table.name, *told, outcome, "", None))


def _may_name(
    connection: Connection,
    texts: Texts,
    columns: Sequence["Column[Any]"],
    click_id: "Column[Any] | None" = None,
) -> list[ColumnElement[bool]]:
    """Return what a row fulfils that names one of a few texts, so that the others are not read; nothing of many."""
    words = texts.words
    if not texts.texts:
        return [false()]
    if words is None or len(words) > FEW:
        return []
    named = [*columns, *([] if click_id is None else [click_id])]
    held = [_holds(connection, one, word, any_case=texts.personal) for one in named for word in words]
    held += [_holds(connection, one, part) for one in columns for part in WRITTEN_OTHERWISE]
    if texts.personal:
        held += [_is_beyond_ascii(connection, one) for one in named]
    return [or_(*held)]


def _is_beyond_ascii(connection: Connection, column: "Column[Any]") -> ColumnElement[bool]:
    """Return what a column fulfils whose text has other letters than ASCII's: only Python can fold them."""
    if column is _KEPT.raw and connection.dialect.name == "postgresql":
        return func.length(column) != func.length(func.encode(column, "escape"))
    text = _as_text(column)
    bytes_taken = func.octet_length(text) if connection.dialect.name == "postgresql" else func.length(cast(text, BLOB))
    return bytes_taken != func.length(text)


def _written(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _as_text(column: "Column[Any]") -> ColumnElement[str]:
    return cast(column, Text)


def _holds(connection: Connection, column: "Column[Any]", part: str, *, any_case: bool = False) -> ColumnElement[bool]:
    """Return the condition that a column holds a part, which is ASCII; in any case: and in small letters."""
    postgres = connection.dialect.name == "postgresql"
    binary = any(column is one for one in _BYTES)
    if binary and not any_case:
        sought = literal(part.encode())
        return (func.position(sought.op("IN")(column)) if postgres else func.instr(column, sought)) > 0
    text = func.encode(column, "escape") if binary and postgres else _as_text(column)
    if any_case:
        text = func.lower(text.collate("C") if postgres else text)
    return (func.strpos if postgres else func.instr)(text, literal(part)) > 0
