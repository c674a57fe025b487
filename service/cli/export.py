"""Owns the command `export`: what is stored, as CSV, NDJSON or Parquet, however much it is."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.choosing import ClickId, SenderName, Since, Until, wanted
from service.cli.printing import say, stdout
from service.cli.setting_up import database_of, refuse

if TYPE_CHECKING:
    from service.operations.files.row_output import Stream

CLOCK_WRONG = "a clock was wrong when they came, or is wrong now (see doctor); --until takes them in"
Format = Annotated[
    Literal["csv", "ndjson", "parquet"],
    typer.Option("--format", help="csv for a spreadsheet, ndjson for a program, parquet for an analysis."),
]
Output = Annotated[Path | None, typer.Option(help="Write there instead of to stdout; replaced when whole.")]
Tests = Annotated[bool, typer.Option("--test", help="Also what was sent as a test.")]

ByTime = Annotated[bool, typer.Option("--by-time", help="In the order in which they came.")]


def export(  # noqa: PLR0913 - the filters
    since: Since = None,
    until: Until = None,
    sender: SenderName = None,
    click_id: ClickId = None,
    *,
    form: Format = "csv",
    output: Output = None,
    test: Tests = False,
    by_time: ByTime = False,
) -> None:
    """Write stored conversions as CSV, NDJSON or Parquet, however many they are.

    In the order of sender, click id, goal and transaction id, which an index
    has; with --by-time as they came, sorted in a temporary file that is as
    large as the rows. Every column of
    the table; times are UTC, value is as it was sent, value_micros the same
    in millionths. conversion_status is the one it has now, since changed_at;
    current_value is the last value that came with one, or the first;
    drained_at is when it left a spool, corrected_at when `reprocess` last
    had it read again. What is from after now, because a
    clock was wrong, is left out and counted on stderr, unless --until takes
    it in. In CSV an apostrophe stands before what a spreadsheet would take
    for a formula; NDJSON and Parquet are exact. Parquet needs one package more
    (make parquet), and --output or a pipe.

    Example: python -m service export --since 2026-01-01 --until 2026-02-01 --output january.csv

    Exit code: 0 written (there may be none), 2 bad usage, or it could not be
    read or written.
    """
    from service.operations.export import export_conversions

    meant = wanted(sender, since, until, click_id, tests=test)
    with database_of(sender) as database:
        left_out = export_conversions(database, meant, form, target_of(output, form), by_time=by_time)
    if left_out and until is None:
        say(f"left out: {left_out:,} conversions that are from after now; {CLOCK_WRONG}", err=True)


def target_of(output: Path | None, form: str) -> "Path | Stream":
    """Return where rows are written to, or end the command where that is a terminal, and they are no text."""
    if output is None and form == "parquet" and sys.stdout.isatty():
        refuse(["Parquet is nothing for a terminal: say --output FILE"])
    return output or stdout()
