"""Owns the command `export`: what is stored, as CSV, NDJSON or Parquet, however much it is."""

from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

from service.cli.choosing import ClickId, SenderName, Since, Until, wanted
from service.cli.setting_up import configured_database
from service.operations.row_output import Format, Output, Types, export_rows, utc

if TYPE_CHECKING:
    from service.storage.reads.conversions import Stored

Tests = Annotated[bool, typer.Option("--test", help="Also what was sent as a test.")]


def export(  # noqa: PLR0913 - the filters
    since: Since = None,
    until: Until = None,
    sender: SenderName = None,
    click_id: ClickId = None,
    *,
    form: Format = "csv",
    output: Output = None,
    test: Tests = False,
) -> None:
    """Write stored conversions as CSV, NDJSON or Parquet, however many they are.

    In the order of sender, click id, goal and transaction id. Every column of
    the table; times are UTC, value is as it was sent, value_micros the same
    in millionths. conversion_status is the one it has now, since changed_at;
    current_value is the last value that came with one, or the first. In CSV a
    cell that a spreadsheet would take for a formula begins with an
    apostrophe; NDJSON and Parquet are exact. Parquet needs one package more
    (make parquet), and --output or a pipe.

    Example: python -m service export --since 2026-01-01 --until 2026-02-01 --output january.csv

    Exit code: 0 written (there may be none), 2 bad usage, or it could not be
    read or written.
    """
    meant = wanted(sender, since, until, click_id, tests=test)
    with configured_database() as database:
        pages = ((_members(row) for row in page) for page in database.conversions().pages(meant))
        export_rows(form, stored_types(), pages, output)


def stored_types() -> Types:
    """Return the columns of a stored conversion and their types, as `Stored` declares them."""
    from service.storage.reads.conversions import Stored

    return get_type_hints(Stored)


def _members(row: "Stored") -> dict[str, object]:
    return {**row._asdict(), "received_at": utc(row.received_at), "changed_at": row.changed_at and utc(row.changed_at)}
