"""Owns how rows leave as a file: CSV without formulas, exact NDJSON, Parquet; a file is there when it is whole."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import orjson

from service.operations.errors import Refused
from service.operations.row_shape import Members, Types

Form = Literal["csv", "ndjson", "parquet"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # with what a spreadsheet begins to calculate (OWASP: CSV injection)
_NUMBER = re.compile(r"-[0-9]+([.,][0-9]+)?", re.ASCII)  # nothing is calculated here, and a sum needs it


def write_rows(form: Form, types: Types, pages: Iterable[Iterable[Members]], target: Path | BinaryIO) -> None:
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
        return csv_pages(tuple(types), pages)
    return ndjson_pages(pages) if form == "ndjson" else _parquet(types, pages)


def _parquet(types: Types, pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    try:
        from service.operations.parquet import parquet_pages  # noqa: PLC0415 - pyarrow is there if somebody wants it
    except ModuleNotFoundError as error:
        raise Refused(
            f"Parquet needs {error.name}: `make parquet` in a checkout, else `pip install {error.name}`"
        ) from error
    return parquet_pages(types, pages)


def ndjson_pages(pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return one JSON object a line, a page at a time."""
    for page in pages:
        yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in page)


def csv_pages(columns: Sequence[str], pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return a header and a record for each row (RFC 4180), a page at a time; no cell is a formula."""
    yield csv_records([columns])
    for page in pages:
        yield csv_records([[harmless(cell) for cell in row.values()] for row in page])


def csv_records(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows of cells as CSV, as they are."""
    page = io.StringIO(newline="")
    csv.writer(page).writerows(rows)
    return page.getvalue().encode()


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; an object in it is JSON."""
    if isinstance(cell, dict):
        return orjson.dumps(cell).decode()
    if isinstance(cell, str) and (unescaped(cell) != cell or cell.startswith(_FORMULA)) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unescaped(cell: str) -> str:
    """Return a cell as it was before it was made harmless."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the target first: half an export must not be taken for a whole one."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
