"""Owns the commands `erase` and `deletions`: one click id is forgotten; what was deleted, by whom and why, is told."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, DryRun, Yes, ask, dry_run_advised, user
from service.cli.printing import Json, print_json, printable
from service.cli.setting_up import configured_database, settings_or_refuse
from service.core.moment import utc

if TYPE_CHECKING:
    from service.operations.erase import Deletions, ErasureReport

_LEFT = "not reached: logs, backups, files that were imported and their FILE.report.csv (docs/retention.md)"


def erase(
    click_id: Annotated[str, typer.Argument(help="The click id exactly as it was sent.")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete everything that is stored of one click id, for a privacy request.

    It shows what is stored: conversions, changes of their status, duplicates,
    rejected postbacks whose raw input names it, replays of these. It asks, deletes all of it in
    one transaction, and notes that in the table `deletion`, with a hash in
    the click id's place. Sent again, the click id is stored, and paid, again.

    Nothing is erased by a clock that is far ahead of what was last believed,
    or 5 minutes from the server's: it says what to do.

    It does not reach log files, backups, imported files and their reports
    (FILE.report.csv), other hosts' spools and, on PostgreSQL, the
    write-ahead log and pages that no VACUUM has cleaned: docs/retention.md.
    On SQLite stop the service first (--dry-run needs no stop); the file is
    then rewritten as a whole, without a trace.

    JSON keys: done, click_id_sha256, rows [{table request_id received_at
    outcome}], deleted {table: rows}.

    Example: python -m service erase my-first-click --dry-run

    Exit code: 0 done, or nothing is stored, 1 you said no, 2 it cannot be
    done, or --yes is missing where nobody can be asked.
    """
    from service.operations import erase as operations

    spool_directory = settings_or_refuse().spool_dir
    with configured_database() as database, dry_run_advised():
        if dry_run:
            report = operations.find(database, spool_directory, click_id)
        else:
            request = operations.ErasureRequest(click_id, by or user(), datetime.now(UTC))
            agree = (lambda _: None) if yes else _ask
            report = operations.erase(database, spool_directory, request, agree)
    if as_json:
        print_json(report.members())
    elif any(report.deleted.values()):
        typer.echo(f"erased: {_counted(report.deleted)}; noted as click_id_sha256 {report.click_id_sha256}")
        typer.echo(_LEFT)
    else:
        typer.echo(_text(report))


def deletions(
    *,
    click_id: Annotated[str | None, typer.Option(help="Only erasures of this click id.")] = None,
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
        found = operations.deletions(database, click_id, limit)
    if as_json:
        print_json(found.members())
        return
    for line in _lines(found):
        typer.echo(line)
    if not found.entries:
        typer.echo("nothing was deleted")


def _ask(report: "ErasureReport") -> None:
    typer.echo(_text(report), err=True)
    ask(f"Erase these {len(report.rows):,}? Nothing brings them back.")


def _text(report: "ErasureReport") -> str:
    who = printable(report.click_id)
    if not report.rows:
        return f"{who}: nothing is stored"
    rows = Counter(one.table for one in report.rows)
    lines = [
        f"{utc(one.received_at)}  {one.table}  {one.outcome}"
        f"{'' if one.id is None else '  (its raw input names it)'}  [{one.request_id}]"
        for one in report.rows
    ]
    return "\n".join([*lines, f"{who}: {_counted(rows)}"])


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} of {table}" for table, number in rows.items() if number)


def _lines(found: "Deletions") -> Iterator[str]:
    for one in found.entries:
        when, first, last = (
            f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (one.deleted_at, one.first_received_at, one.last_received_at)
        )
        what = f"{one.reason}  {one.rows:,} of {one.table_name} ({one.outcome}), came {first} to {last}"
        whose = f"  {one.click_id_sha256}" if one.click_id_sha256 else ""
        yield f"{when}  {what}  {printable(one.deleted_by)}{whose}"
