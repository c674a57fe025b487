"""Owns the statements that write postbacks to a SQLite file: compiled from the tables once, for any number of rows."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache, lru_cache
from itertools import chain
from itertools import count as numbers_from
from typing import NamedTuple, TypeVar

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    column,
    literal_column,
    select,
    union_all,
    values,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from service.core.outcome import Outcome
from service.storage.deletions.book import Noting, noting
from service.storage.schema.figures import share_figures
from service.storage.schema.history import FIRST, LATER
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, KEY, PROBE, REJECTED, SHARED, StoredTable
from service.storage.sqlite.file import transaction

Item = TypeVar("Item")

STATEMENT_ROWS = 64  # 1.2 KiB each of a prepared statement, of which hundreds are kept; more rows are not faster
_FEW_ROWS = 8
_OFTEN_ALIKE = frozenset({"is_test", "sender", "goal", "transaction_id", "params", "door", "conversion_status"})
_DIALECT = sqlite.dialect()


class Repeated:
    """A statement with a row of parameters, which is repeated for as many rows as there are.

    `often_alike` says of each parameter whether it is often the same in all rows of one moment.
    """

    def __init__(self, head: str, row: str, tail: str, often_alike: tuple[bool, ...] = ()) -> None:
        self._head, self._row, self._tail = head, row, tail
        self.often_alike = often_alike
        self.often_alike_places = [place for place, often in enumerate(often_alike) if often]
        self._texts: dict[int, str] = {}

    def for_rows(self, rows: int) -> str:
        """Return the text for so many rows, the same object each time."""
        text = self._texts.get(rows)
        if text is None:
            text = self._texts[rows] = self.text([self._row] * rows)
        return text

    def text(self, rows: Iterable[str]) -> str:
        """Return the text for these rows."""
        return f"{self._head}{', '.join(rows)}{self._tail}"


class Statements(NamedTuple):
    """What the ledger executes. `new_conversion` fails if one of its rows is not new, `conversion` leaves that one out.

    `share` keeps what rows begin with, or notes that it is used. `winners` gives a key, and then what FIRST
    says of it; `history` a key, and then what `later_row` takes; `recorded` gives a request id, its outcome and detail;
    `shares` a share of the quarantine, and its bytes. `note` writes into the book of deletions.
    """

    new_conversion: Repeated
    conversion: Repeated
    change: Repeated
    duplicate: Repeated
    rejected: Repeated
    share: str
    probe: str
    winners: Repeated
    history: Repeated
    recorded: Repeated
    shares: str
    note: Noting


@cache
def statements() -> Statements:
    """Compile them."""
    share = sqlite.insert(SHARED.table).values({name: bindparam(name) for name in SHARED.columns})
    probe = sqlite.insert(PROBE.table).values({name: bindparam(name) for name in PROBE.columns})
    return Statements(
        _insertion(CONVERSION, skip=False),
        _insertion(CONVERSION),
        _insertion(CHANGE),
        _insertion(DUPLICATE),
        _insertion(REJECTED),
        _compiled(share.on_conflict_do_update(index_elements=SHARED.key, set_={"used_at": share.excluded.used_at})),
        _compiled(probe.on_conflict_do_update(index_elements=PROBE.key, set_={"probed_at": probe.excluded.probed_at})),
        _winners(),
        _history(),
        _recorded(),
        _compiled(share_figures()),
        noting(sqlite.dialect(paramstyle="qmark")),
    )


def insert(connection: sqlite3.Connection, statement: Repeated, rows: Sequence[Sequence[object]]) -> int:
    """Insert rows, all or none, and return how many are new."""
    if len(rows) <= STATEMENT_ROWS:  # one statement needs no BEGIN and no COMMIT
        return _insert(connection, statement, rows)
    with nullcontext() if connection.in_transaction else transaction(connection):
        return sum(_insert(connection, statement, some) for some in in_statements(rows))


def in_statements(rows: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield what one statement takes at a time."""
    return (rows[first : first + STATEMENT_ROWS] for first in range(0, len(rows), STATEMENT_ROWS))


def _insert(connection: sqlite3.Connection, statement: Repeated, rows: Sequence[Sequence[object]]) -> int:
    if not rows:
        return 0
    count = len(rows)
    if count < _FEW_ROWS:  # to look what they have in common would take longer
        return connection.execute(statement.for_rows(count), [*chain.from_iterable(rows)]).rowcount
    columns = [*zip(*rows, strict=True)]
    alike = statement.often_alike
    if count == STATEMENT_ROWS:
        alike = tuple([column.count(column[0]) == count for column in columns])
    elif not all(columns[place].count(columns[place][0]) == count for place in statement.often_alike_places):
        alike = ()  # one pattern, or each would be another statement that SQLite has to prepare
    if not any(alike):
        return connection.execute(statement.for_rows(count), [*chain.from_iterable(rows)]).rowcount
    once = [column[0] for column, same in zip(columns, alike, strict=True) if same]
    each = zip(*(column for column, same in zip(columns, alike, strict=True) if not same), strict=True)
    return connection.execute(_binding_once(statement, alike, count), [*once, *chain.from_iterable(each)]).rowcount


@lru_cache(maxsize=2 * STATEMENT_ROWS)
def _binding_once(statement: Repeated, alike: tuple[bool, ...], rows: int) -> str:
    """Return the text for so many rows that takes the columns that are `alike` in all of them once, and first.

    Rows that came together have most columns in common, and to bind a text costs as much as to insert it.
    """
    once, each = numbers_from(1), numbers_from(1 + sum(alike))
    numbers = [next(once) if same else None for same in alike]
    numbered = ([next(each) if number is None else number for number in numbers] for _ in range(rows))
    return statement.text(f"({', '.join(f'?{number}' for number in row)})" for row in numbered)


def _insertion(table: StoredTable, *, skip: bool = True) -> Repeated:
    """Return the statement that inserts rows, `skip`: but those whose key is taken.

    OR ROLLBACK, because a batch is one transaction: to undo a single statement of it, SQLite would copy each page that
    the statement changes into a temporary file.
    """
    row: dict[str, BindParameter[object]] = {name: bindparam(name) for name in table.columns}
    insertion = sqlite.insert(table.table).values(row).prefix_with("OR ROLLBACK")
    text = _compiled(insertion.on_conflict_do_nothing() if skip else insertion)
    return _repeated(text, len(row), tuple(name in _OFTEN_ALIKE for name in row))


def _winners() -> Repeated:
    """Return the query for conversions by their keys."""
    wanted = _wanted()
    return _question(_under(CONVERSION, wanted, *(CONVERSION.table.c[name] for name in FIRST)))


def _history() -> Repeated:
    """Return the query for the changes under keys, and for their corrections, in their order."""
    wanted = _wanted()
    later = union_all(*(_under(table, wanted, *columns) for table, columns in LATER))
    return _question(later.order_by("number", "revision"))


def _wanted() -> CTE:
    row: tuple[BindParameter[object], ...] = tuple(bindparam(name) for name in KEY)
    return values(*(column(name, CONVERSION.table.c[name].type) for name in KEY)).data([row]).cte("wanted")


def _under(table: StoredTable, wanted: CTE, *fields: ColumnElement[object]) -> Select[tuple[object, ...]]:
    found = table.table.c
    same = and_(*(found[name] == wanted.c[name] for name in KEY))
    return select(*(found[name] for name in KEY), *fields).select_from(wanted.join(table.table, same))


def _question(asked: ClauseElement) -> Repeated:
    """Return a query for rows by their keys, each a jump in the primary key.

    A CROSS JOIN, which SQLAlchemy has no word for: SQLite then looks for each key, and does not scan the whole table.
    """
    return _repeated(_compiled(asked).replace(" JOIN ", " CROSS JOIN "), len(KEY))


def _recorded() -> Repeated:
    """Return the query for what is recorded under request ids. They come as rows: each is a jump in a unique index."""
    row: tuple[BindParameter[object], ...] = (bindparam("request_id"),)
    wanted = values(column("request_id", REJECTED.table.c.request_id.type)).data([row]).cte("wanted")
    repeated, refused = DUPLICATE.table.c, REJECTED.table.c
    duplicate = Outcome.DUPLICATE.value
    found = union_all(
        select(repeated.request_id, literal_column(f"'{duplicate}'"), literal_column("''")).select_from(
            wanted.join(DUPLICATE.table, repeated.request_id == wanted.c.request_id)
        ),
        select(refused.request_id, refused.outcome, refused.detail).select_from(
            wanted.join(REJECTED.table, refused.request_id == wanted.c.request_id)
        ),
    )
    return _repeated(_compiled(found).replace(" JOIN ", " CROSS JOIN "), 1)


def _compiled(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT)).replace("\n", "")


def _repeated(text: str, columns: int, often_alike: tuple[bool, ...] = ()) -> Repeated:
    row = f"({', '.join('?' * columns)})"
    head, tail = text.split(row)
    return Repeated(head, row, tail, often_alike)
