"""The tables other people's SQL relies on: a migrated file has the promised columns, key and types."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlmodel import SQLModel

from service.settings import Settings
from service.storage.schema.registry import KEY as DECLARED_KEY
from service.storage.schema.registry import OF_POSTBACKS, TABLES, markdown_table
from service.storage.sqlite.ledger import migrations_of
from service.writing.retention import Limits

ROOT = Path(__file__).parents[2]
KEY = ["sender", "is_test", "click_id", "goal", "transaction_id"]
CONVERSION = {*KEY, "value", "value_micros", "currency", "params", "received_at", "request_id"}
REJECTED = {
    "id",
    "received_at",
    "door",
    "sender",
    "outcome",
    "detail",
    "raw",
    "request_id",
    "replayed_at",
    "replay_outcome",
}


class Column(NamedTuple):
    """What SQLite says of a column; `place` is its place in the primary key, from 1."""

    number: int
    name: str
    type: str
    not_null: int
    default: str | None
    place: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Migrate an empty file."""
    migrations_of(tmp_path / "postback.db").up()
    return tmp_path / "postback.db"


def columns(path: Path, name: str) -> dict[str, Column]:
    with closing(sqlite3.connect(path)) as connection:
        found = [Column(*row) for row in connection.execute(f"PRAGMA table_info({name})")]
    return {column.name: column for column in found}


def test_a_conversion_has_the_columns_of_the_contract(path: Path) -> None:
    assert set(columns(path, "conversion")) >= CONVERSION


def test_the_key_of_a_conversion_is_natural_in_order_and_never_null(path: Path) -> None:
    found = columns(path, "conversion").values()
    key = sorted((column for column in found if column.place), key=lambda column: column.place)
    assert [column.name for column in key] == KEY
    assert all(column.not_null for column in key)


def test_an_amount_is_a_big_integer_and_parameters_are_json(path: Path) -> None:
    found = columns(path, "conversion")
    assert (found["value_micros"].type, found["params"].type) == ("BIGINT", "JSON")
    assert found["value_micros"].not_null


def test_only_currency_and_status_of_a_conversion_may_be_unknown_and_whether_it_was_drained(path: Path) -> None:
    unknown = [column.name for column in columns(path, "conversion").values() if not column.not_null]
    assert unknown == ["currency", "conversion_status", "drained_at"]


def test_a_rejected_postback_has_the_columns_of_the_contract(path: Path) -> None:
    assert set(columns(path, "rejected_postback")) >= REJECTED


def test_a_rejected_postback_always_has_its_raw_input_and_its_reason(path: Path) -> None:
    found = columns(path, "rejected_postback")
    needed = ("received_at", "door", "outcome", "detail", "raw", "request_id")
    assert {name: bool(found[name].not_null) for name in needed} == dict.fromkeys(needed, True)
    assert found["raw"].type == "BLOB"


def test_a_replay_links_both_attempts_and_says_who_did_it_and_when(path: Path) -> None:
    found = columns(path, "replay")
    assert set(found) == {"rejected_request_id", "request_id", "outcome", "replayed_by", "replayed_at", "rules"}
    assert [column.name for column in found.values() if column.place] == ["rejected_request_id"]
    assert [column.name for column in found.values() if not column.not_null] == ["outcome", "rules"]


def test_a_deletion_says_how_much_of_what_went_why_when_and_by_whom(path: Path) -> None:
    found = columns(path, "deletion")
    key = ["run", "table_name", "reason", "outcome", "process"]
    noted = ["rows", "first_received_at", "last_received_at", "deleted_by", "deleted_at", "click_id_sha256"]
    assert list(found) == [*key, *noted]
    assert [column.name for column in found.values() if column.place] == key
    assert [column.name for column in found.values() if not column.not_null] == ["click_id_sha256"]


def test_every_table_has_its_entry_in_the_registry() -> None:
    assert sorted(table.name for table in TABLES) == sorted(SQLModel.metadata.tables)


def test_names_of_tables_are_plain_text() -> None:
    """SQLAlchemy's own kind of text is no key of a JSON object, and answers have tables as keys."""
    assert {type(table.name) for table in TABLES} == {str}


def test_a_migrated_file_has_the_declared_tables_and_alembics(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert found - {"sqlite_sequence"} == {table.name for table in TABLES} | {"alembic_version"}


def test_the_list_of_tables_in_the_documents_is_the_registrys() -> None:
    assert markdown_table() in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_what_ends_names_a_setting_that_there_is() -> None:
    assert {table.days for table in TABLES if table.days} <= set(Settings.model_fields)
    assert {table.days for table in TABLES if table.days} == {name for name in Limits._fields if name.endswith("_days")}


def test_rows_of_postbacks_are_written_in_the_order_that_their_makers_know() -> None:
    """The makers of rows (storage/ledger.py) know the columns by their order only."""
    came = ("received_at", "request_id", "door")
    amount = ("value", "value_micros", "currency")
    assert tuple(KEY) == DECLARED_KEY
    assert {table.name: table.columns for table in OF_POSTBACKS} == {
        "conversion": (*KEY, *amount, "params", *came, "conversion_status"),
        "status_change": (*KEY, "number", "conversion_status", *amount, "params", *came),
        "duplicate": (*KEY, *came),
        "rejected_postback": (
            *("received_at", "door", "sender", "outcome", "detail", "click_id", "raw", "request_id"),
            *("key_id", "client_ip", "shared"),
        ),
    }
