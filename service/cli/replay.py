"""Owns the command `replay`: rejected postbacks sent through today's rules again, after telling what that would do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, DryRun, Yes, ask, dry_run_advised, user
from service.cli.choosing import ClickId, Outcomes, SenderName, Since, Until, chosen
from service.cli.export import CLOCK_WRONG
from service.cli.printing import print_json
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import database_of, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.replay import Author, ReplayReport

_Vouch = Annotated[
    bool, typer.Option("--vouch", help="Also what was unauthenticated or forbidden: you answer for its sender.")
]

_WHY = ": `rejected show` says why, and of a whole batch what to do"


def replay(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    vouch: _Vouch = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Send rejected postbacks through today's rules again, after a fix.

    It tells what would change, asks, and stores what is accepted now, with
    the moment it first arrived. What would be rejected again is left as it
    is; what was replayed is not replayed again. Given twice, or interrupted
    and given again, it stores everything once.

    On PostgreSQL it runs beside the service. On SQLite stop the service
    first (--dry-run needs no stop): the file has one writer.

    Example: python -m service replay --outcome invalid_value --since 7d

    JSON keys: done, steps [{before after count changes}].

    Exit code: 0 done, or nothing to do, 1 you said no, 2 it cannot be done,
    or --yes is missing where nobody can be asked.
    """
    wanted = chosen(outcome, sender, since, until, click_id)
    asked, now = wanted.until, datetime.now(UTC)
    wanted = replace(wanted, until=asked or now, not_replayed=True)
    from service.operations import replay as operations

    author = _author(by, vouches=vouch)

    def agree(foreseen: "ReplayReport") -> None:
        if not yes:
            _print(foreseen, err=as_json)
            ask(f"Replay these {foreseen.changed:,}?")

    with database_of(sender) as database, dry_run_advised():
        rehearsing = operations.rehearse(database, wanted, author) if dry_run else None
        report = asyncio.run(rehearsing or operations.replay(database, wanted, author, agree))
        _tell_left_out(0 if asked else operations.left_out(database, wanted))
    if as_json:
        print_json(report.members())
    else:
        _print(report)


def _author(by: str | None, *, vouches: bool) -> "Author":
    """Return who replays, and the senders that are known."""
    from service.operations.replay import Author

    settings, rows = settings_or_refuse(), registered()
    known = {name: one.sender for name, one in rows.roster().senders.items()}
    return Author(by or user(), vouches, chosen_sender(None, settings, rows), known)


def _tell_left_out(left_out: int) -> None:
    if left_out:
        typer.echo(f"left out: {left_out:,} that are from after now; {CLOCK_WRONG}", err=True)


def _print(report: "ReplayReport", *, err: bool = False) -> None:
    if not report.steps:
        typer.echo("nothing to replay: no rejected postback is chosen, or all of them were replayed", err=err)
    for (before, after, changes), number in report.in_order():
        arrow = (
            f"{before} → {after}" if changes else f"{before} stays {after}" if before != after else f"{before} stays"
        )
        typer.echo(f"{number:>9,}  {arrow}", err=err)
    said = "replayed" if report.done else "would be replayed"
    stay = report.steps.total() - report.changed
    typer.echo(f"{report.changed:,} {said}, {stay:,} stay as they are{_WHY if stay else ''}", err=err)
