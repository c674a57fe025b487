"""Owns the statements that write postbacks to PostgreSQL: compiled from the tables once, one array for each column."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    CTE,
    TEXT,
    ColumnElement,
    Integer,
    Select,
    String,
    TableValuedAlias,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert

from service.core.outcome import Outcome
from service.storage.deletions.book import Noting, noting
from service.storage.schema.figures import share_figures
from service.storage.schema.history import FIRST, LATER
from service.storage.schema.registry import (
    CONVERSION,
    DELETION,
    DRAINED,
    DUPLICATE,
    KEY,
    PROBE,
    REJECTED,
    SHARED,
    StoredTable,
)

_ONE = literal_column("1", Integer)
_DIALECT = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so


class Statements(NamedTuple):
    """What the ledger executes; a parameter is an array with a value for each row, but the probe's are two values.

    `conversion` stores rows of CONVERSION, all of them or none. `winners` gives a key, and then what FIRST says of it;
    who asks for winners keeps them from being deleted until the transaction ends. `history` gives a key, and then what
    `later_row` takes; `recorded` a request id, its outcome and detail; `shares` a share of the quarantine, and its
    bytes. `share` keeps what rows begin with, `note` writes into the book of deletions.
    """

    conversion: bytes
    winners: bytes
    history: bytes
    recorded: bytes
    share: bytes
    shares: bytes
    note: Noting


@cache
def statements() -> Statements:
    """Compile them."""
    winners = _under(CONVERSION, _rows(CONVERSION, KEY), *(CONVERSION.table.c[name] for name in FIRST))
    return Statements(
        _compiled(_insertion_of_new()),
        _compiled(winners.with_for_update(key_share=True, read=True, of=CONVERSION.table)),
        _compiled(_history()),
        _compiled(_recorded()),
        _compiled(_sharing()),
        _compiled(share_figures()),
        noting(_DIALECT),
    )


@cache
def storing(tables: tuple[StoredTable, ...], *, probe: bool) -> bytes:
    """Compile the statement that stores rows of tables, and perhaps a probe, and says how many of each."""
    rows = [_insertion(table, drained_columns(table)).returning(_ONE).cte(f"new_{table.name}") for table in tables]
    counts = [select(func.count()).select_from(some).scalar_subquery() for some in rows]
    probes = [_probing().cte("probed")] if probe else []
    return _compiled(select(*counts).add_cte(*rows, *probes) if rows else _probing())


def drained_columns(table: StoredTable) -> tuple[str, ...]:
    """Return the columns of rows that may have been drained."""
    return (*table.columns, DRAINED)


def _compiled(statement: ClauseElement) -> bytes:
    """Return the text with binary parameters (`%b`): an array costs a quarter of its text form to make."""
    return str(statement.compile(dialect=_DIALECT)).replace("\n", "").replace("%s", "%b").encode()


def _rows(table: StoredTable, names: Iterable[str]) -> TableValuedAlias:
    """Return parameters as rows. Strings are text: a column's collation is not an array's."""
    columns = [table.table.c[name] for name in names]
    types = [TEXT() if isinstance(column.type, String) else column.type for column in columns]
    arrays = [bindparam(column.name, type_=ARRAY(kind)) for column, kind in zip(columns, types, strict=True)]
    return func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()


def _insertion(table: StoredTable, names: Sequence[str]) -> postgresql.Insert:
    return postgresql.insert(table.table).from_select(names, select(*_rows(table, names).c))


def _insertion_of_new() -> postgresql.Insert:
    """Insert conversions if none of their keys is taken. Of two who find the same key free, one fails by it.

    Each key is a jump in the primary key, whatever the planner believes of the table: the limit forbids it to begin
    with the table. Nothing is inserted either once a click id was erased after the first of the rows arrived.
    """
    arrived = select(*_rows(CONVERSION, CONVERSION.columns).c).cte("arrived")
    found, erased = CONVERSION.table.c, DELETION.table.c
    same = and_(*(found[name] == arrived.c[name] for name in KEY))
    holder = select(_ONE.label("taken")).where(same).limit(_ONE).lateral("holder")
    taken = select(_ONE).select_from(arrived.join(holder, true()))
    oldest = (
        select(func.min(arrived.c.received_at)).where(arrived.c.door != literal_column("'import'")).scalar_subquery()
    )
    later = select(_ONE).where(erased.click_id_sha256.is_not(None), erased.deleted_at >= oldest)
    new = select(*arrived.c).where(~exists(taken), ~exists(later))
    return postgresql.insert(CONVERSION.table).from_select(CONVERSION.columns, new)


def _history() -> ClauseElement:
    """Ask for the changes under keys, and for their corrections, in their order."""
    wanted = select(*_rows(CONVERSION, KEY).c).cte("wanted")
    later = union_all(*(_under(table, wanted, *columns) for table, columns in LATER))
    return later.order_by("number", "revision")


def _under(
    table: StoredTable, wanted: CTE | TableValuedAlias, *fields: ColumnElement[object]
) -> Select[tuple[object, ...]]:
    found = table.table.c
    same = and_(*(found[name] == wanted.c[name] for name in KEY))
    return select(*(found[name] for name in KEY), *fields).select_from(wanted.join(table.table, same))


def _recorded() -> ClauseElement:
    ids = bindparam("request_id", type_=ARRAY(TEXT()))
    repeated, refused = DUPLICATE.table.c, REJECTED.table.c
    duplicate, nothing = literal_column(f"'{Outcome.DUPLICATE.value}'", String), literal_column("''", String)
    return union_all(
        select(repeated.request_id, duplicate, nothing).where(repeated.request_id == func.any(ids)),
        select(refused.request_id, refused.outcome, refused.detail).where(refused.request_id == func.any(ids)),
    )


def _sharing() -> Insert:
    """Keep what rows begin with, or note that it is used."""
    row = {name: bindparam(name, type_=SHARED.table.c[name].type) for name in SHARED.columns}
    inserted = postgresql.insert(SHARED.table).values(row)
    return inserted.on_conflict_do_update(index_elements=SHARED.key, set_={"used_at": inserted.excluded.used_at})


def _probing() -> Insert:
    """Write a probe's moment."""
    row = {column.name: bindparam(column.name, type_=column.type) for column in PROBE.table.columns}
    inserted = postgresql.insert(PROBE.table).values(row)
    return inserted.on_conflict_do_update(index_elements=PROBE.key, set_={"probed_at": inserted.excluded.probed_at})
