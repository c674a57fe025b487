"""Owns rows as Parquet: each column in a type of its own that is exact, a row group at a time, in bounded memory.

The one module that needs pyarrow, which is installed by who wants it (`make parquet`).
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

import orjson
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from service.operations.files.row_shape import Members, Types

_GROUP_ROWS = 50_000  # many enough to be packed well, few enough to be held
_GROUP_BYTES = 8 * 2**20  # a group is full with that, too: a row may have 64 KiB of params
_BATCH_ROWS = 500  # made into columns at once

pa.set_memory_pool(pa.system_memory_pool())  # its own keeps what it freed: 25 MB at the peak

_MOMENT = pa.timestamp("us", tz="UTC")  # what both engines keep
_KINDS: Mapping[object, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    str: pa.string(),
    datetime: _MOMENT,
    Mapping[str, object]: pa.string(),  # JSON
}
_OR_NONE = {kind | None: arrow for kind, arrow in _KINDS.items()}  # type: ignore[operator]  # every key is a type


def schema_of(types: Types) -> pa.Schema:
    """Return the schema of columns. KeyError: one has a type that nobody has thought of yet."""
    return pa.schema(
        [pa.field(name, {**_KINDS, **_OR_NONE}[kind], nullable=kind in _OR_NONE) for name, kind in types.items()]
    )


def parquet_pages(types: Types, pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return rows as Parquet (zstd), a row group at a time; of no rows, the schema."""
    schema, pieces = schema_of(types), _Pieces()
    with ParquetWriter(pieces, schema, compression="zstd") as writer:
        for group in _groups(_batch(schema, rows) for page in pages for rows in _batches(page)):
            writer.write_table(pa.Table.from_batches(group, schema), row_group_size=_GROUP_ROWS)
            group.clear()  # or it would be held until the next one is whole
            yield from pieces.taken()
    yield from pieces.taken()


def _batches(page: Iterable[Members]) -> Iterator[list[Members]]:
    rows = iter(page)
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield batch


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    gathered: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        gathered.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield gathered
            gathered, rows, size = [], 0, 0
    if gathered:
        yield gathered


def _batch(schema: pa.Schema, rows: list[Members]) -> pa.RecordBatch:
    """Return rows as columns; rows are as JSON shows them, so moments are text and objects are not."""
    columns = [_column(field.type, [row[field.name] for row in rows]) for field in schema]
    return pa.record_batch(columns, schema=schema)


def _column(kind: pa.DataType, values: list[object]) -> pa.Array:
    if kind == _MOMENT:
        values = [datetime.fromisoformat(str(value)) if value else None for value in values]
    else:
        values = [orjson.dumps(value).decode() if isinstance(value, Mapping) else value for value in values]
    return pa.array(values, kind)


class _Pieces(io.RawIOBase):
    """A file that gives away what was written to it: a pipe can neither seek nor say where it stands."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, piece: "bytes | pa.Buffer", /) -> int:
        taken = bytes(piece)
        self._pieces.append(taken)
        self._size += len(taken)
        return len(taken)

    def taken(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces
