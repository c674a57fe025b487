"""Owns the commands `erase` and `deletions`: a click id or a person is forgotten; what was deleted is told."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, DryRun, Yes, ask, dry_run_advised, user
from service.cli.choosing import not_empty
from service.cli.printing import Json, print_json, say
from service.cli.progress import progress
from service.cli.setting_up import configured_database, refuse, settings_or_refuse
from service.core.moment import utc

if TYPE_CHECKING:
    from service.operations.erase import Deletions, ErasureReport, Held, Subject

_LEFT = "not reached: logs, backups, files that were imported and their FILE.report.csv (docs/retention.md)"


_CLICK_ID = typer.Argument(help="The click id exactly as it was sent.", callback=not_empty)
_TEXT = "What tells of a person instead, e.g. an address: everything that names it. Letter case does not count."


def erase(  # noqa: PLR0913 - the options
    click_id: Annotated[str | None, _CLICK_ID] = None,
    *,
    text: Annotated[str | None, typer.Option(help=_TEXT, callback=not_empty)] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete everything that is stored of one click id, or of a person, for a privacy request.

    It shows what is stored: conversions, changes of their status, duplicates,
    rejected postbacks whose raw input names it, replays of these. It asks,
    deletes all of it in one transaction, and notes that in the table
    `deletion`, with a hash. Sent again, it is stored, and paid, again.

    With --text it is all that names a text as a whole word. A click id under
    which something is stored that names it goes as a whole: look at --dry-run.
    More than 10,000 rows are no one person's, and are refused.

    A click id is found by indexes; what was rejected is read (1 GiB at most by
    default), and with --text all that is stored (10 million: 2 minutes).

    Nothing is erased by a clock that may be wrong: it says what to do.

    It does not reach log files, backups, imported files and their reports
    (FILE.report.csv), other hosts' spools and, on PostgreSQL, the
    write-ahead log and pages that no VACUUM has cleaned: docs/retention.md.
    On SQLite stop the service first (--dry-run needs no stop); the file is
    then rewritten as a whole, without a trace.

    JSON keys: done, click_id_sha256 (with --text the text's), click_ids, rows
    [{table request_id received_at outcome click_id parameter}], deleted
    {table: rows}.

    Example: python -m service erase --text jane@example.com --dry-run

    Exit code: 0 done, or nothing is stored, 1 you said no, 2 it cannot be
    done, or --yes is missing where nobody can be asked.
    """
    subject = _subject(click_id, text)
    if subject is None:
        refuse(["say a click id, or with --text what tells of a person"])
    report = _found(subject) if dry_run else _erased(subject, by or user(), agreed=yes)
    if as_json:
        print_json(report.members())
    else:
        say(*_told(report))


def _found(subject: "Subject") -> "ErasureReport":
    from service.operations import erase as operations

    spool_directory = settings_or_refuse().spool_dir
    with configured_database() as database, progress("searching", None) as advance:
        return operations.find(database, spool_directory, subject, advance)


def _erased(subject: "Subject", by: str, *, agreed: bool) -> "ErasureReport":
    from service.operations import erase as operations

    spool_directory = settings_or_refuse().spool_dir
    request = operations.ErasureRequest(subject, by, datetime.now(UTC))
    with configured_database() as database, dry_run_advised(), ExitStack() as bar:
        advance = bar.enter_context(progress("searching", None))

        def agree(report: "ErasureReport") -> None:
            bar.close()  # a bar that moves would overwrite the question
            if not agreed:
                _ask(report)

        return operations.erase(database, spool_directory, request, agree, advance)


def deletions(
    *,
    click_id: Annotated[str | None, typer.Option(help="Only erasures of this click id.", callback=not_empty)] = None,
    text: Annotated[str | None, typer.Option(help="Only erasures of this text.", callback=not_empty)] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was deleted, newest first: by retention, a row a day and kind, and by `erase`.

    JSON keys: deletions [{run table reason outcome process rows
    first_received_at last_received_at deleted_by deleted_at
    click_id_sha256}].

    Example: python -m service deletions --limit 20

    Exit code: 0 listed (there may be none), 2 bad usage, or the database
    cannot be read.
    """
    from service.operations import erase as operations

    with configured_database() as database:
        found = operations.deletions(database, _subject(click_id, text), limit)
    if as_json:
        print_json(found.members())
        return
    say(*(_lines(found) if found.entries else ["nothing was deleted"]))


def _subject(click_id: str | None, text: str | None) -> "Subject | None":
    from service.operations.erase import Subject

    if click_id is not None and text is not None:
        refuse(["say a click id or --text, not both"])
    return Subject(click_id) if click_id is not None else Subject(text, personal=True) if text is not None else None


def _ask(report: "ErasureReport") -> None:
    say(*_text(report), err=True)
    ask(f"Erase these {len(report.rows):,}? Nothing brings them back.")


def _told(report: "ErasureReport") -> list[str]:
    if not any(report.deleted.values()):
        return _text(report)
    return [f"erased: {_counted(report.deleted)}; noted as click_id_sha256 {report.click_id_sha256}", _LEFT]


def _text(report: "ErasureReport") -> list[str]:
    who = report.subject.text
    if not report.rows:
        return [f"{who}: nothing is stored"]
    rows = Counter(one.table for one in report.rows)
    lines = [
        f"{utc(one.received_at)}  {one.table}  {one.outcome}{_why(one, report)}  [{one.request_id}]"
        for one in report.rows
    ]
    return [*lines, f"{who}: {_counted(rows)}"]


def _why(row: "Held", report: "ErasureReport") -> str:
    """Say why a row goes, where that is not because it is of the click id that was said."""
    if row.id is not None:
        place = f" as parameter {row.parameter}" if row.parameter else ""
        return f"  (its raw input names it{place})"
    return f"  (of click id {row.click_id})" if report.subject.personal and row.click_id else ""


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} of {table}" for table, number in rows.items() if number)


def _lines(found: "Deletions") -> Iterator[str]:
    for one in found.entries:
        when, first, last = (
            f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (one.deleted_at, one.first_received_at, one.last_received_at)
        )
        what = f"{one.reason}  {one.rows:,} of {one.table_name} ({one.outcome}), came {first} to {last}"
        whose = f"  {one.click_id_sha256}" if one.click_id_sha256 else ""
        yield f"{when}  {what}  {one.deleted_by}{whose}"
