"""Owns the commands `erase` and `deletions`: one click id is forgotten; what was deleted, by whom and why, is told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.changing import By, DryRun, Yes, ask, user, writer_or_refuse
from service.cli.rejected_format import printable
from service.cli.setting_up import configured_database, refuse, settings_or_refuse, storage_or_refuse
from service.operations.row_output import utc

if TYPE_CHECKING:
    from service.storage.erasure import Held
    from service.storage.schema.tables import Deletion

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


def erase(
    click_id: Annotated[str, typer.Argument(help="The click id exactly as it was sent.")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: _Json = False,
) -> None:
    """Delete everything that is stored of one click id, for a privacy request.

    It shows what is stored: conversions, changes of their status, duplicates,
    rejected postbacks whose raw input names it, replays of these. It asks, deletes all of it in
    one transaction, and notes that in the table `deletion`, with a hash in
    the click id's place. Sent again, the click id is stored, and paid, again.

    It does not reach log files, backups, other hosts' spools and, on
    PostgreSQL, the write-ahead log and pages that no VACUUM has cleaned:
    docs/retention.md. On SQLite stop the service first (--dry-run needs no
    stop); the file is then rewritten as a whole, without a trace.

    JSON keys: done, click_id_sha256, rows [{table request_id received_at
    outcome}], deleted {table: rows}.

    Exit code: 0 done, or nothing is stored, 1 you said no, 2 it cannot be
    done, or --yes is missing where nobody can be asked.
    """
    from service.storage.erasure import sha256

    deleted: Mapping[str, int] = {}
    with configured_database() as database:
        _refuse_what_waits(click_id)
        if dry_run:
            found: Sequence[Held] = database.erasure().find(click_id)
        else:
            database.quarantine()  # where there is no file, none is made
            with writer_or_refuse(database, "erase"):
                erasure = database.erasure()
                found = erasure.find(click_id)
                if found and not yes:
                    typer.echo(_text(click_id, found), err=True)
                    ask(f"Erase these {len(found):,}? Nothing brings them back.")
                if found or erasure.noted(click_id):  # an earlier one may have been interrupted before its end
                    deleted = erasure.erase(click_id, found, by or user(), datetime.now(UTC))
    if as_json:
        rows = [{**one._asdict(), "received_at": utc(one.received_at)} for one in found]
        answer = {
            "done": not dry_run,
            "click_id_sha256": sha256(click_id),
            "rows": [{key: value for key, value in row.items() if key != "id"} for row in rows],
            "deleted": deleted,
        }
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    if not any(deleted.values()):
        typer.echo(_text(click_id, found))
        return
    typer.echo(f"erased: {_counted(deleted)}; noted as click_id_sha256 {sha256(click_id)}")


def deletions(
    *,
    click_id: Annotated[str | None, typer.Option(help="Only erasures of this click id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: _Json = False,
) -> None:
    """List what was deleted, newest first: by retention, a row a day and kind, and by `erase`.

    JSON keys: deletions [{run table reason outcome process rows
    first_received_at last_received_at deleted_by deleted_at
    click_id_sha256}].

    Exit code: 0 listed (there may be none), 2 bad usage, or the database
    cannot be read.
    """
    from service.storage.erasure import sha256

    with configured_database() as database:
        found = database.deletions().book(limit, None if click_id is None else sha256(click_id))
    if as_json:
        answer = {"deletions": [_members(one) for one in found]}
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        typer.echo("nothing was deleted")


def _refuse_what_waits(click_id: str) -> None:
    """Refuse while the spool holds what would come back."""
    from service.spool.reading import arrivals

    with storage_or_refuse():
        waiting = arrivals(settings_or_refuse().spool_dir, click_id)
    if waiting:
        refuse([f"{len(waiting)} of its postbacks wait in the spool and would come back: erase when they are drained"])


def _text(click_id: str, found: "Sequence[Held]") -> str:
    if not found:
        return f"{printable(click_id)}: nothing is stored"
    rows = Counter(one.table for one in found)
    lines = [f"{utc(one.received_at)}  {one.table}  {one.outcome}{_how(one)}  [{one.request_id}]" for one in found]
    return "\n".join([*lines, f"{printable(click_id)}: {_counted(rows)}"])


def _how(one: "Held") -> str:
    return "" if one.id is None else "  (its raw input names it)"


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} of {table}" for table, number in rows.items() if number)


def _members(one: "Deletion") -> dict[str, object]:
    moments = ("first_received_at", "last_received_at", "deleted_at")
    values = one.model_dump() | {name: utc(getattr(one, name)) for name in moments}
    return {"table" if name == "table_name" else name: value for name, value in values.items()}


def _line(one: "Deletion") -> str:
    when, first, last = (
        f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (one.deleted_at, one.first_received_at, one.last_received_at)
    )
    whose = f"  {one.click_id_sha256}" if one.click_id_sha256 else ""
    who = printable(one.deleted_by)
    return (
        f"{when}  {one.reason}  {one.rows:,} of {one.table_name} ({one.outcome}), came {first} to {last}  {who}{whose}"
    )
