"""How rows go into a SQLite file: whatever they have in common, and without a file beside it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from sqlite3 import Connection, connect

import pytest

from service.storage.ledger import Row, conversion_row
from service.storage.schema.registry import CONVERSION
from service.storage.sqlite.file import connect_writer, transaction
from service.storage.sqlite.ledger import utc_text
from service.storage.sqlite.statements import STATEMENT_ROWS, insert, statements
from tests.support import builders
from tests.support.migrated import put_migrated


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    """Lend the writing connection of an empty file with the schema."""
    put_migrated(path)
    with closing(connect_writer(path)) as connection:
        yield connection


def rows_of(queries: Sequence[str]) -> list[Row]:
    return [conversion_row(builders.postback(query), utc_text) for query in queries]


@pytest.mark.parametrize("changing", ["c={0}&value=1", "c={0}&value={0}&currency=USD&x={0}", "c={0}&value=1&test={0}"])
@pytest.mark.parametrize("count", [1, STATEMENT_ROWS - 1, STATEMENT_ROWS, 2 * STATEMENT_ROWS + 1])
def test_what_is_stored_does_not_depend_on_what_rows_have_in_common(
    connection: Connection, changing: str, count: int
) -> None:
    rows = rows_of([changing.format(number) for number in range(count)])
    assert insert(connection, statements().conversion, rows) == count
    asked = f"SELECT {', '.join(CONVERSION.columns)} FROM conversion"  # noqa: S608 - our own names
    stored = connection.execute(asked).fetchall()
    assert sorted(stored) == sorted(rows)
    assert insert(connection, statements().conversion, rows) == 0


def test_rows_that_are_all_the_same_are_one(connection: Connection) -> None:
    (row,) = rows_of(["c=a&value=1"])
    assert insert(connection, statements().conversion, [row] * STATEMENT_ROWS) == 1


def test_a_batch_needs_no_file_beside_the_log(connection: Connection) -> None:
    """A statement that could fail in its middle copies each page that it changes into a file, to undo only itself."""
    for _ in range(4):
        insert(connection, statements().conversion, random_rows(1000))
    with transaction(connection):
        insert(connection, statements().conversion, random_rows(STATEMENT_ROWS))
        assert not any("etilqs" in name for name in open_files())


def test_who_can_undo_one_statement_alone_has_such_a_file(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "other.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE t (k TEXT NOT NULL UNIQUE)")
        other.execute("BEGIN")
        other.execute("INSERT INTO t SELECT hex(randomblob(99)) FROM json_each(?)", (f"[{'1,' * 9999}1]",))
        other.execute("INSERT INTO t SELECT hex(randomblob(99)) FROM json_each(?)", (f"[{'1,' * 9999}1]",))
        assert any("etilqs" in name for name in open_files())


def random_rows(count: int) -> list[Row]:
    return rows_of([f"c={token_hex(16)}&value=1" for _ in range(count)])


def open_files() -> list[str]:
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found.append(str(name.readlink()))
    return found
