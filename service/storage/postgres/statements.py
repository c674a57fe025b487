"""Owns the statements that write postbacks to PostgreSQL: compiled from the tables once, one array for each column."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    TEXT,
    ColumnElement,
    String,
    TableValuedAlias,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert

from service.core.verdict import Change, Winner
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, KEY, PROBE, REJECTED, StoredTable

_DIALECT = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so


class Statements(NamedTuple):
    """What the ledger executes; a parameter is an array with a value for each row, but the probe's are two values.

    `winners` and `changes` give a key, and then the fields of Winner and Change. `keep` takes the columns of duplicates
    and of rejections, and a probe; `present` counts request ids by table.
    """

    conversion: bytes
    change: bytes
    winners: bytes
    changes: bytes
    keep: bytes
    present: dict[str, bytes]


@cache
def statements() -> Statements:
    """Compile them."""
    return Statements(
        _compiled(_insertion(CONVERSION).on_conflict_do_nothing()),
        _compiled(_insertion(CHANGE)),
        _compiled(_question(CONVERSION, Winner._fields[:-1])),
        _compiled(_question(CHANGE, Change._fields, CHANGE.table.c.number)),
        _compiled(_keeping()),
        {table.name: _compiled(_presence(table)) for table in (DUPLICATE, REJECTED)},
    )


def _compiled(statement: ClauseElement) -> bytes:
    """Return the text with binary parameters (`%b`): an array costs a quarter of its text form to make."""
    return str(statement.compile(dialect=_DIALECT)).replace("\n", "").replace("%s", "%b").encode()


def _rows(table: StoredTable, names: Iterable[str]) -> TableValuedAlias:
    """Return parameters as rows. Strings are text: a column's collation is not an array's."""
    columns = [table.table.c[name] for name in names]
    types = [TEXT() if isinstance(column.type, String) else column.type for column in columns]
    arrays = [bindparam(column.name, type_=ARRAY(kind)) for column, kind in zip(columns, types, strict=True)]
    return func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()


def _insertion(table: StoredTable) -> postgresql.Insert:
    return postgresql.insert(table.table).from_select(table.columns, select(*_rows(table, table.columns).c))


def _question(table: StoredTable, fields: Sequence[str], *order: ColumnElement[int]) -> ClauseElement:
    found, wanted = table.table.c, _rows(table, KEY)
    same = and_(*(found[name] == wanted.c[name] for name in KEY))
    asked = select(*(found[name] for name in (*KEY, *fields))).select_from(wanted.join(table.table, same))
    return asked.order_by(*order)


def _keeping() -> ClauseElement:
    repeated, refused = (
        _insertion(table).on_conflict_do_nothing().returning(literal_column("1")).cte(name)
        for table, name in ((DUPLICATE, "repeated"), (REJECTED, "refused"))
    )
    counts = (select(func.count()).select_from(rows).scalar_subquery() for rows in (repeated, refused))
    return select(*counts).add_cte(repeated, refused, _probing().cte("probed"))


def _probing() -> Insert:
    """Write the probe's moment, if there is one."""
    columns = PROBE.table.c
    row = [bindparam(column.name, type_=column.type).label(column.name) for column in (columns.id, columns.probed_at)]
    probe = select(*row).subquery("probe")
    inserted = postgresql.insert(PROBE.table).from_select(
        PROBE.columns, select(*probe.c).where(probe.c.probed_at.is_not(None))
    )
    return inserted.on_conflict_do_update(index_elements=PROBE.key, set_={"probed_at": inserted.excluded.probed_at})


def _presence(table: StoredTable) -> ClauseElement:
    ids = bindparam("request_id", type_=ARRAY(TEXT()))
    return select(func.count()).select_from(table.table).where(table.table.c.request_id == func.any(ids))
