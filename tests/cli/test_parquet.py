"""`export --format parquet`: what is exact in it, how it is written, and what it needs."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.core.outcome import Outcome
from service.core.verdict import Entry
from service.operations.export import stored_types
from service.operations.files.parquet import parquet_pages, schema_of
from service.operations.files.row_shape import Members
from service.storage.reads.conversions import Stored
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

TEXT, MOMENT = pa.string(), pa.timestamp("us", tz="UTC")
BEYOND_FLOATS = 2**53 + 1
HOSTILE = [
    "c=%3Dcmd%7C%27/C%27%21A0&value=-0.000001&note=%40SUM%281%2B1%29",
    "c=%F0%9F%91%A9%F0%9F%92%BB&value=1&currency=EUR&%E2%9C%93=%D8%A7",
    "c=%22quote%22%2C%5C&value=9007199254.740993&note=%20line%0Aend%0D%0A%1B%5B31m",
    "c=tested&value=-2.50&test=1&twice=1&twice=2",
]


@pytest.fixture
def stored(bare: Path) -> None:
    """Store what is hard to write down: formulas, emoji, line ends, amounts that a float would round."""
    entries: list[Entry] = [builders.postback(query) for query in HOSTILE]
    entries += [builders.rejection(Outcome.INVALID_VALUE, "refused"), builders.rejection(body=b"\xff\0", method="POST")]
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    ledger.commit(entries)
    ledger.close()


def as_json(row: dict[str, object]) -> dict[str, object]:
    """Return a row of Parquet as NDJSON has it."""
    moments = {name: moment for name, moment in row.items() if isinstance(moment, datetime)}
    told = {name: f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for name, moment in moments.items()}
    params = {"params": json.loads(str(row["params"]))} if "params" in row else {}
    return {**row, **told, **params}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", ["export --test", "rejected export"])
def test_every_cell_is_what_ndjson_has(service: Command, bare: Path, command: str) -> None:
    ended = service(*command.split(), "--format", "parquet", "--output", "all.parquet")
    lines = service(*command.split(), "--format", "ndjson").out.splitlines()
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    rows = parquet.read_table(bare / "all.parquet").to_pylist()
    assert [as_json(row) for row in rows] == [json.loads(line) for line in lines]
    assert len(rows) == {"export --test": 4, "rejected export": 2}[command]
    assert {path.name for path in bare.iterdir()} == {"data", "all.parquet"}


@pytest.mark.usefixtures("stored")
def test_amounts_are_whole_numbers_moments_are_utc_and_tests_are_marked(service: Command, bare: Path) -> None:
    service("export", "--test", "--format", "parquet", "--output", "all.parquet")
    rows = parquet.read_table(bare / "all.parquet").to_pylist()
    assert {row["value"]: row["value_micros"] for row in rows} == {
        "-0.000001": -1,
        "1": 1_000_000,
        "9007199254.740993": BEYOND_FLOATS,
        "-2.50": -2_500_000,
    }
    assert {row["received_at"] for row in rows} == {builders.RECEIVED_AT}
    assert {row["received_at"].utcoffset() for row in rows} == {UTC.utcoffset(None)}
    assert [row["click_id"] for row in rows if row["is_test"]] == ["tested"]


def test_every_column_of_a_stored_conversion_has_a_type() -> None:
    """Fails with KeyError where `Stored` gets a column of a new type: give it one in files/parquet.py."""
    schema = schema_of(stored_types())
    assert tuple(schema.names) == Stored._fields
    assert {"is_test": pa.bool_(), "value_micros": pa.int64(), "received_at": MOMENT, "currency": TEXT}.items() <= {
        field.name: field.type for field in schema
    }.items()
    assert {field.name for field in schema if not field.nullable} >= {"click_id", "value", "value_micros", "params"}
    assert schema.field("currency").nullable


def test_a_column_of_an_unknown_type_is_no_column_at_all() -> None:
    with pytest.raises(KeyError):
        schema_of({"value": float})


def test_a_row_group_is_written_before_the_next_rows_are_read() -> None:
    read = 0

    def pages() -> Iterator[list[Members]]:
        nonlocal read
        for page in range(25):
            read += 1
            yield [{"n": page * 5_000 + number} for number in range(5_000)]

    chunks = parquet_pages({"n": int}, pages())
    first = next(chunks)
    assert read == 10
    whole = parquet.ParquetFile(io.BytesIO(first + b"".join(chunks)))
    groups = [whole.metadata.row_group(number) for number in range(whole.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [50_000, 50_000, 25_000]
    assert {group.column(0).compression for group in groups} == {"ZSTD"}
    assert whole.read()["n"].to_pylist() == list(range(125_000))


def test_a_few_large_rows_are_a_row_group() -> None:
    chunks = parquet_pages({"text": str}, ([{"text": "x" * 60_000}] * 500 for _ in range(3)))
    whole = parquet.ParquetFile(io.BytesIO(b"".join(chunks)))
    assert [whole.metadata.row_group(number).num_rows for number in range(whole.num_row_groups)] == [500, 500, 500]


def test_no_rows_are_a_file_with_columns() -> None:
    whole = parquet.read_table(io.BytesIO(b"".join(parquet_pages(stored_types(), []))))
    assert (whole.num_rows, whole.column_names) == (0, list(Stored._fields))


@pytest.mark.usefixtures("stored")
def test_a_pipe_gets_what_a_file_gets_and_a_terminal_nothing(
    service: Command, at_terminal: Command, bare: Path
) -> None:
    shown = at_terminal("export", "--format", "parquet")
    assert (shown.code, shown.out, shown.err) == (2, "", "Parquet is nothing for a terminal: say --output FILE\n")
    service("export", "--format", "parquet", "--output", "all.parquet")
    into_a_file = at_terminal("export", "--format", "parquet", "--output", "again.parquet")
    assert (into_a_file.code, into_a_file.out) == (0, "")
    assert (bare / "again.parquet").read_bytes() == (bare / "all.parquet").read_bytes()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", ["export", "rejected export"])
def test_without_pyarrow_the_command_says_how_to_get_it(service: Command, bare: Path, command: str) -> None:
    (bare / "pyarrow.py").write_text("raise ModuleNotFoundError('hidden', name='pyarrow')")
    ended = service(*command.split(), "--format", "parquet", "--output", "all.parquet")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "Parquet needs pyarrow: `make parquet` in a checkout, else `pip install pyarrow`\n",
    )
    assert {path.name for path in bare.iterdir()} == {"data", "pyarrow.py"}
    assert service(*command.split()).code == 0
