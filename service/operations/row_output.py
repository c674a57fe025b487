"""Owns how rows leave as a file: CSV without formulas, exact NDJSON, Parquet; a file is there when it is whole."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer

from service.cli.setting_up import refuse

Cell = str | int | None
Members = Mapping[str, object]  # a row: JSON values by column, the same columns in the same order in every row
Types = Mapping[str, object]  # the columns of rows, in order, and what is in each, as an annotation says it

Format = Annotated[
    Literal["csv", "ndjson", "parquet"],
    typer.Option("--format", help="csv for a spreadsheet, ndjson for a program, parquet for an analysis."),
]
Output = Annotated[Path | None, typer.Option(help="Write there instead of to stdout; replaced when whole.")]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # with what a spreadsheet begins to calculate (OWASP: CSV injection)
_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?", re.ASCII)  # nothing is calculated here, and a sum needs it


def export_rows(form: str, types: Types, pages: Iterable[Iterable[Members]], output: Path | None) -> None:
    """Write rows in a form, `csv`, `ndjson` or `parquet`; what Parquet needs and has not ends with exit code 2."""
    emit(_parquet(types, pages, output) if form == "parquet" else encoded(form, tuple(types), pages), output)


def _parquet(types: Types, pages: Iterable[Iterable[Members]], output: Path | None) -> Iterator[bytes]:
    if output is None and sys.stdout.isatty():
        refuse(["Parquet is nothing for a terminal: say --output FILE"])
    try:
        from service.operations.parquet import parquet_pages
    except ModuleNotFoundError as error:
        refuse([f"Parquet needs {error.name}: make parquet"])
    return parquet_pages(types, pages)


def encoded(form: str, columns: Sequence[str], pages: Iterable[Iterable[Members]]) -> Iterator[bytes]:
    """Return rows in a form, `csv` or `ndjson`, a page at a time; of CSV the header first."""
    return csv_pages(columns, pages) if form == "csv" else ndjson_pages(pages)


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
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def emit(chunks: Iterable[bytes], output: Path | None) -> None:
    """Write to a file or to stdout; a file that cannot be written ends the command with exit code 2."""
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    try:
        _write(output, chunks)
    except OSError as error:
        refuse([f"cannot write {output}: {error.strerror}"])


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the target first: half an export must not be taken for a whole one."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def utc(moment: datetime) -> str:
    """Return a UTC moment as ISO 8601 writes it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
