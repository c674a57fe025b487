"""Owns how rows leave: CSV without formulas, exact NDJSON, Parquet; a file is there when it is whole."""

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import orjson

from service.core.harmless import csv_head, csv_rows, visible_json
from service.operations.errors import Refused
from service.operations.files.row_shape import Members, Types
from service.storage.new_file import new_file

Form = Literal["csv", "ndjson", "parquet"]

_AMOUNTS = frozenset({"value", "current_value", "value_here", "value_there"})  # columns of amounts as text


class Stream(Protocol):
    """What takes rows that go into no file."""

    def writelines(self, pieces: Iterable[bytes], /) -> None:
        """Write pieces of one or more whole rows."""


def write_rows(form: Form, types: Types, pages: Iterable[Iterable[Members]], target: Path | Stream) -> None:
    """Write rows in a form to a file, which is there when it is whole, or to a stream.

    Raises Refused where Parquet needs what is not installed, or the file cannot be written.
    """
    chunks = _encoded(form, types, pages)
    if not isinstance(target, Path):
        target.writelines(chunks)
        return
    try:
        _write(target, chunks)
    except OSError as error:
        raise Refused(f"cannot write {target}: {error.strerror}") from error


def _encoded(form: Form, types: Types, pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    if form == "csv":
        return csv_pages(types, pages)
    return ndjson_pages(pages) if form == "ndjson" else _parquet(types, pages)


def _parquet(types: Types, pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    try:
        from service.operations.files.parquet import parquet_pages  # noqa: PLC0415 - pyarrow is there if somebody wants it
    except ModuleNotFoundError as error:
        raise Refused(
            f"Parquet needs {error.name}: `make parquet` in a checkout, else `pip install {error.name}`"
        ) from error
    return parquet_pages(types, pages)


def ndjson_pages(pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return one JSON object a line, a page at a time."""
    for page in pages:
        yield visible_json(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in page))


def csv_pages(types: Types, pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return a header and a record for each row, a page at a time; no cell is a formula."""
    amounts = frozenset(place for place, name in enumerate(types) if name in _AMOUNTS)
    yield csv_head(types)
    for page in pages:
        yield csv_rows((row.values() for row in page), amounts)


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that is there when it is whole: half an export must not be taken for a whole one."""
    if target.is_symlink() or (target.exists() and not target.is_file() and not target.is_dir()):
        raise OSError(errno.EINVAL, "it is a link or a device; name a file, or leave --output out and say where with >")
    with new_file(target, replaces=True) as part, part.open("wb") as file:
        file.writelines(chunks)
