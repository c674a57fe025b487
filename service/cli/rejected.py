"""Owns the commands `rejected …`: what was not accepted, listed, shown whole, and exported."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.choosing import Address, ClickId, KeyId, Outcomes, SenderName, Since, Until, chosen
from service.cli.export import Format, Output, target_of
from service.cli.printing import Json, print_json, raw_lines, say
from service.cli.setting_up import configured_database, database_of
from service.core.moment import utc
from service.core.postback import is_whole_batch

if TYPE_CHECKING:
    from service.operations.quarantine import Newest, Shown

app = typer.Typer(
    help="What was not accepted: list it, show one whole, export it. Each is kept with its raw input.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    key_id: KeyId = None,
    address: Address = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was not accepted, newest first.

    Filters add up. The last line says how many there are of each outcome.

    Example: python -m service rejected list --outcome invalid_value --since 7d

    JSON keys: rejected [{id received_at outcome status sender click_id
    detail door request_id replayed_at replay_outcome raw raw_encoding
    answered drained_at key_id client_ip}], more, outcomes {outcome: count}:
    all that are chosen.

    Exit code: 0 listed (there may be none), 2 bad usage, or the database
    cannot be read.
    """
    from service.operations import quarantine

    meant = chosen(outcome, sender, since, until, click_id, key_id=key_id, address=address)
    with database_of(sender) as database:
        found = quarantine.newest(database, meant, limit)
    if as_json:
        print_json(found.members())
        return
    say(*_lines(found))


@app.command()
def show(
    id_or_request_id: Annotated[str, typer.Argument(help="The id or the request_id, as `list` shows them.")],
    *,
    as_json: Json = False,
) -> None:
    r"""Show everything about one: what was sent, why it was not accepted, what came later.

    Control characters in what was sent are shown as escapes (\x1b). With
    --json the raw input is exact, as text or in base64.

    JSON keys: those of `list`, and hint, replay {rejected_request_id
    request_id outcome replayed_by replayed_at} or null, later
    [{received_at outcome door request_id detail answered drained_at}].

    Example: python -m service rejected show 42

    Exit code: 0 shown, 1 there is none, 2 the database cannot be read.
    """
    from service.operations import quarantine

    with configured_database() as database:
        shown = quarantine.show(database, id_or_request_id)
    if as_json:
        print_json(shown.members())
        return
    say(*_whole(shown))


@app.command()
def export(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    key_id: KeyId = None,
    address: Address = None,
    form: Format = "csv",
    output: Output = None,
) -> None:
    """Write what was not accepted as CSV, NDJSON or Parquet, newest first.

    Times are UTC; raw is text where it is text and base64 otherwise, as
    raw_encoding says. In CSV an apostrophe stands before what a
    spreadsheet would take for a formula; NDJSON and Parquet are exact.

    Example: python -m service rejected export --since 7d --output week.csv

    Exit code: 0 written, 2 bad usage, or it could not be read or written.
    """
    from service.operations.export import export_rejected

    meant = chosen(outcome, sender, since, until, click_id, key_id=key_id, address=address)
    with database_of(sender) as database:
        export_rejected(database, meant, form, target_of(output, form))


_HEADER = "received_at (UTC)    outcome  sender  click_id  detail  [request_id]"


def _lines(found: "Newest") -> Iterator[str]:
    if found.rows:
        yield _HEADER
    for row in found.rows:
        when = f"{row.received_at:%Y-%m-%d %H:%M:%S}"
        replayed = f"  replayed: {row.replay_outcome}" if row.replayed_at else ""
        who = f"{row.sender or '(unknown)'}  {row.click_id or '(no click id)'}"
        yield f"{when}  {row.outcome}  {who}  {row.detail}{replayed}  [{row.request_id}]"
    sums = ", ".join(f"{number:,} {outcome}" for outcome, number in found.outcomes.most_common())
    more = f"{found.more:,} more: --limit, or narrow it down; " if found.more else ""
    yield f"{more}{found.outcomes.total():,} in all{': ' if sums else ''}{sums}"


def _whole(shown: "Shown") -> Iterator[str]:
    row = shown.row
    named = {
        "id": row.id,
        "request_id": row.request_id,
        "received_at": utc(row.received_at),
        "door": row.door,
        "sender": row.sender or "(unknown)",
        **({"key": row.key_id} if row.key_id else {}),
        **({"came from": row.client_ip} if row.client_ip else {}),
        "click_id": "(none)" if row.click_id is None else row.click_id,
        "outcome": f"{row.outcome} ({_answer(shown)})",
        "detail": row.detail,
        "hint": shown.hint,
        "replay": _replayed(shown),
    }
    yield from (f"{name:<12} {value}" for name, value in named.items())
    yield from ("raw, as it was sent:", *raw_lines(row.raw))
    if shown.later:
        yield "later under this click id:"
    for one in shown.later:
        told = f"{one.outcome.value} through {one.door}: {one.detail}"
        yield f"  {utc(one.received_at)}  {told}  [{one.request_id}]"


def _answer(shown: "Shown") -> str:
    """Say what was answered."""
    if shown.row.door in {"import", "replay"}:
        return f"no HTTP answer: it came from {'an import' if shown.row.door == 'import' else 'a replay'}"
    drained_at = shown.row.drained_at
    if drained_at is None or shown.answered == shown.row.outcome:
        return f"HTTP {shown.status or 'unknown'}"
    return f"answered {shown.answered}, HTTP {shown.status}; judged when it left the spool, {utc(drained_at)}"


def _replayed(shown: "Shown") -> str:
    replay = shown.replay
    if replay is None:
        whole = "; a whole batch is not replayed: its sender mends it and sends it again, or without atomic=1"
        return f"never{whole if is_whole_batch(shown.row.door, shown.row.request_id) else ''}"
    when = f"{utc(replay.replayed_at)} by {replay.replayed_by}"
    if replay.request_id == shown.row.request_id:
        return f"this is the replay of {replay.rejected_request_id}, {when}"
    return f"{replay.outcome or 'begun, and not finished: replay again'}, {when}, as {replay.request_id}"
