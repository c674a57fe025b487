"""Owns the command `import`: a file of postbacks stored once, however often it is given, with a report of each row."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.changing import dry_run_advised
from service.cli.choosing import not_empty
from service.cli.printing import print_json, say
from service.cli.progress import progress
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import (
    configured_database,
    readable_or_refuse,
    refuse,
    settings_or_refuse,
    storage_or_refuse,
)
from service.cli.spreadsheets import Columns, Dates, Delimiter, Encoding, Numbers

if TYPE_CHECKING:
    from service.operations.files.spreadsheet.reading import Options
    from service.operations.importing.file import ImportFile
    from service.operations.importing.operation import ImportResult
    from service.operations.importing.report import ReportPlace

_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_FORMS: dict[str, Literal["csv", "ndjson"]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".ndjson", ".jsonl"), "ndjson"),
}
_PACKED = (".gz", ".zst")
_GO_ON = "the same command goes on where it stopped"


_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A spreadsheet as CSV, with a header, or NDJSON; packed: .gz or .zst.")
]
_Form = Annotated[
    Literal["csv", "ndjson"] | None,
    typer.Option("--format", help="What is in the file.", show_default="by its name: .csv, .tsv, .ndjson …"),
]
_ReceivedAt = Annotated[
    str | None,
    typer.Option(
        "--received-at",
        metavar="COLUMN",
        help="The column to keep as the time: ISO 8601, or as --dates says; UTC if it names no zone.",
    ),
]
_Sender = Annotated[
    str | None,
    typer.Option(
        help="Whose rows they are: registered, or a preset's name.", show_default="POSTBACK_PRESET", callback=not_empty
    ),
]
_Report = Annotated[
    list[str] | None,
    typer.Option(
        metavar="all|PATH",
        help="What was not stored or has a mistake is listed at PATH; with `all` every row. Give it twice for both.",
        show_default="FILE.report.csv, or .ndjson",
    ),
]


def import_(  # noqa: PLR0913 - the options
    file: _File,
    *,
    form: _Form = None,
    received_at: _ReceivedAt = None,
    sender: _Sender = None,
    report: _Report = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    numbers: Numbers = None,
    dates: Dates = None,
    columns: Columns = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only parse, and tell what would be rejected.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Store the postbacks of a file, of any size, each exactly once.

    A row has the names, rules and outcomes of a batch's. What is not accepted
    is kept, as from any door. Given again, after an interruption or by
    mistake, the same file read in the same way stores nothing twice; the
    report says where to go on. It tells mistakes in accepted rows as well.

    A spreadsheet is read as it looks, and one line says what was understood:
    look at it with --dry-run (and --report) first. Totals are left out.

    On PostgreSQL it runs beside the service. On SQLite stop the service
    first (--dry-run needs no stop): the file has one writer.

    Example: python -m service import Januar.csv --columns "Click-ID=c" --received-at Datum --dates dmy

    JSON keys: done, request_id (a row's is that, and -N), rows, resumed_after,
    outcomes {outcome: count}, report, rules_of (when it was begun, if the
    sender's rules have changed since: those of then apply), read_as, mistakes
    in accepted rows {mistake: {rows, first_row, hint}}, has_values (of a sheet).

    Exit code: 0 every row was accepted, 1 some were rejected, or another
    import of the file is under way, 2 it cannot be read, stored or reported,
    130 interrupted.
    """
    from service.operations.files.spreadsheet.saying import options_of

    said = options_of(delimiter, encoding, numbers, dates, columns or ())
    rows = _rows_of(file, form, received_at, sender, said)
    place = _place(report or (), file, rows)
    result = _parsed(rows, place if report else None) if dry_run else _imported(rows, place)
    if as_json:
        print_json(result.members())
    else:
        _print(result)
    raise typer.Exit(int(result.rejected > 0))


def _rows_of(
    path: Path, form: Literal["csv", "ndjson"] | None, received_at: str | None, sender: str | None, said: "Options"
) -> "ImportFile":
    from service.operations.files.row_file import RowFile
    from service.operations.files.spreadsheet.reading import Options
    from service.operations.importing.file import ImportFile

    whose = chosen_sender(sender, settings_or_refuse(), registered())
    with readable_or_refuse(path), progress("reading", None, in_bytes=True) as advance:
        plain = Path(path.stem) if path.suffix.lower() in _PACKED else path
        chosen = form or _FORMS.get(plain.suffix.lower())
        if chosen is None:
            refuse([f"{path}: say --format csv or --format ndjson; the name does not"])
        if chosen == "ndjson" and said != Options():
            refuse([f"{path}: what is said of a spreadsheet is for CSV, and this is NDJSON"])
        return ImportFile(RowFile(path, chosen), received_at, advance, whose, options=said)


def _place(said: Sequence[str], path: Path, rows: "ImportFile") -> "ReportPlace":
    """Return where the report is, and whether every row is told there. A file that is called all is ./all."""
    from service.operations.importing.report import ReportPlace

    named = [Path(word) for word in said if word != "all"]
    if len(named) > 1:
        refuse([f"--report {named[1]}: {named[0]} was named already"])
    place = named[0] if named else path.with_name(f"{path.name}.report.{rows.form}")
    return ReportPlace(place, _FORMS.get(place.suffix.lower(), rows.form), every="all" in said)


def _parsed(rows: "ImportFile", report: "ReportPlace | None") -> "ImportResult":
    """Foresee what parsing makes of each row; a report is written where one was asked for."""
    from service.operations.importing.operation import rehearse_import

    try:
        with (
            configured_database() as database,
            readable_or_refuse(),
            progress("parsing", rows.size, in_bytes=True) as advance,
        ):
            return asyncio.run(rehearse_import(database, rows, advance, report))
    except OSError as error:
        if report is None:
            raise
        refuse([f"cannot write {report.path}: {error.strerror}"])


def _imported(rows: "ImportFile", report: "ReportPlace") -> "ImportResult":
    """Import all that is not in the report yet; say how to go on where that is cut off."""
    from service.operations.importing.operation import import_file

    try:
        with (
            configured_database() as database,
            dry_run_advised(),
            storage_or_refuse(_GO_ON),
            readable_or_refuse(),
            progress("importing", rows.size, in_bytes=True) as advance,
        ):
            return asyncio.run(import_file(database, rows, report, advance))
    except OSError as error:
        refuse([f"cannot write {report.path}: {error.strerror}", _GO_ON])
    except KeyboardInterrupt:
        say(f"interrupted; {_GO_ON}", err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _print(result: "ImportResult") -> None:
    rows, rejected = result.outcomes.total(), result.rejected
    if result.read_as:
        say(f"read as: {result.read_as}")
    if result.rules_of:
        when = f"{result.rules_of:%Y-%m-%d %H:%M} UTC"
        say(f"by the sender's rules of {when}, when this import was begun: they have changed since")
        say("for today's rules: `replay` what was rejected; other rows in a file of their own (docs/import.md)")
    if not result.has_values:
        say(f"no column is read as the value: {rows - rejected:,} accepted rows count 0 (--columns THEIRS=value)")
    for word, count in result.outcomes.most_common():
        say(f"{count:>11,}  {word}")
    for mistake, (count, first_row, hint) in result.mistakes.items():
        say(f"{count:>11,}  accepted with the mistake {mistake} (row {first_row:,}): {hint}")
    if not result.done:
        say(f"{rows:,} rows: {rows - rejected:,} would be accepted, {rejected:,} rejected; nothing was stored")
        if result.report:
            say(f"{'each row' if result.report.every else 'what would be rejected'}: {result.report.path}")
        return
    if rows and result.resumed_after == rows:
        say(
            f"nothing new: all {rows:,} rows were imported before"
            if rows > 1
            else "nothing new: it was imported before"
        )
    resumed = f", gone on with after row {result.resumed_after:,}" if 0 < result.resumed_after < rows else ""
    say(f"{rows:,} rows{resumed}: {rows - rejected:,} accepted, {rejected:,} rejected")
    if result.report:
        say(f"{'each row' if result.report.every else 'what was not stored, or has a mistake'}: {result.report.path}")
