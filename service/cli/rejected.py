"""Owns the commands `rejected …`: what was not accepted, listed, shown whole, and exported."""

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.choosing import ClickId, Outcomes, SenderName, Since, Until, chosen
from service.cli.rejected_format import COLUMNS, answer, hint, members, printable, printable_lines
from service.cli.setting_up import configured_database
from service.operations.row_output import Format, Output, export_rows, utc

if TYPE_CHECKING:
    from service.storage.database import Database
    from service.storage.reads.history import Arrival
    from service.storage.schema.tables import RejectedPostback, Replay

app = typer.Typer(
    help="What was not accepted: list it, show one whole, export it. Each is kept with its raw input.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


@app.command("list")
def list_(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: _Json = False,
) -> None:
    """List what was not accepted, newest first.

    Filters add up. The last line says how many more there are.

    Example: python -m service rejected list --outcome invalid_value --since 7d

    JSON keys: rejected [{id received_at outcome status sender click_id
    detail door request_id replayed_at replay_outcome raw raw_encoding}],
    more.

    Exit code: 0 listed (there may be none), 2 bad usage, or the database
    cannot be read.
    """
    wanted = chosen(outcome, sender, since, until, click_id)
    with configured_database() as database:
        quarantine = database.quarantine()
        rows = quarantine.newest(wanted, limit)
        more = max(0, quarantine.count(wanted) - len(rows)) if len(rows) == limit else 0
    if as_json:
        _print_json({"rejected": [members(row) for row in rows], "more": more})
        return
    for row in rows:
        typer.echo(_line(row))
    rest = f"{more:,} more: --limit, or narrow it down" if more else ""
    typer.echo(rest or f"{len(rows)} in all")


@app.command()
def show(
    id_or_request_id: Annotated[str, typer.Argument(help="The id or the request_id, as `list` shows them.")],
    *,
    as_json: _Json = False,
) -> None:
    r"""Show everything about one: what was sent, why it was not accepted, what came later.

    Control characters in what was sent are shown as escapes (\x1b). With
    --json the raw input is exact, as text or in base64.

    JSON keys: those of `list`, and hint, replay {rejected_request_id
    request_id outcome replayed_by replayed_at} or null, later
    [{received_at outcome door request_id detail}].

    Exit code: 0 shown, 1 there is none, 2 the database cannot be read.
    """
    with configured_database() as database:
        quarantine = database.quarantine()
        row = quarantine.one(id_or_request_id)
        if row is None:
            typer.echo(f"{printable(id_or_request_id)}: nothing is kept under that id or request_id", err=True)
            raise typer.Exit(1)
        replay = quarantine.replay_of(row.request_id)
        later = _later(database, row)
    if as_json:
        more = {"hint": hint(row.outcome), "replay": _replay(replay), "later": [_told(one) for one in later]}
        _print_json({**members(row), **more})
        return
    typer.echo("\n".join(_whole(row, replay, later)))


@app.command()
def export(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    form: Format = "csv",
    output: Output = None,
) -> None:
    """Write what was not accepted as CSV, NDJSON or Parquet, newest first.

    Times are UTC; raw is text where it is text and base64 otherwise, as
    raw_encoding says. In CSV a cell that a spreadsheet would take for a
    formula begins with an apostrophe; NDJSON and Parquet are exact.

    Example: python -m service rejected export --since 7d --output week.csv

    Exit code: 0 written, 2 bad usage, or it could not be read or written.
    """
    wanted = chosen(outcome, sender, since, until, click_id)
    with configured_database() as database:
        pages = ((members(row) for row in page) for page in database.quarantine().pages(wanted))
        export_rows(form, COLUMNS, pages, output)


def _later(database: "Database", row: "RejectedPostback") -> "list[Arrival]":
    """Return what came under the same click id afterwards."""
    if row.click_id is None:
        return []
    arrivals = database.history().arrivals(row.click_id)
    return [one for one in arrivals if one.received_at >= row.received_at and one.request_id != row.request_id]


def _line(row: "RejectedPostback") -> str:
    when = f"{row.received_at:%Y-%m-%d %H:%M:%S}"
    replayed = f"  replayed: {row.replay_outcome}" if row.replayed_at else ""
    who = printable(f"{row.sender or '(unknown)'}  {row.click_id or '(no click id)'}")
    return f"{when}  {row.outcome}  {who}  {printable(row.detail)}{replayed}  [{row.request_id}]"


def _whole(row: "RejectedPostback", replay: "Replay | None", later: "list[Arrival]") -> list[str]:
    named = {
        "id": row.id,
        "request_id": row.request_id,
        "received_at": utc(row.received_at),
        "door": row.door,
        "sender": row.sender or "(unknown)",
        "click_id": "(none)" if row.click_id is None else row.click_id,
        "outcome": f"{row.outcome} ({answer(row)})",
        "detail": row.detail,
        "hint": hint(row.outcome),
        "replay": _replayed(row, replay),
    }
    lines = [f"{name:<12} {printable(str(value))}" for name, value in named.items()]
    lines += ["raw, as it was sent:", *printable_lines(row.raw)]
    if later:
        lines.append("later under this click id:")
    for one in later:
        told = f"{one.outcome.value} through {one.door}: {printable(one.detail)}"
        lines.append(f"  {utc(one.received_at)}  {told}  [{one.request_id}]")
    return lines


def _replayed(row: "RejectedPostback", replay: "Replay | None") -> str:
    if replay is None:
        return "never"
    when = f"{utc(replay.replayed_at)} by {replay.replayed_by}"
    if replay.request_id == row.request_id:
        return f"this is the replay of {replay.rejected_request_id}, {when}"
    return f"{replay.outcome or 'begun, and not finished: replay again'}, {when}, as {replay.request_id}"


def _replay(replay: "Replay | None") -> dict[str, object] | None:
    return {**replay.model_dump(), "replayed_at": utc(replay.replayed_at)} if replay else None


def _told(arrival: "Arrival") -> dict[str, object]:
    return {
        "received_at": utc(arrival.received_at),
        "outcome": arrival.outcome.value,
        "door": arrival.door,
        "request_id": arrival.request_id,
        "detail": arrival.detail,
    }


def _print_json(answer: dict[str, object]) -> None:
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
