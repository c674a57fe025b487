"""Owns the command `replay`: rejected postbacks sent through today's rules again, after telling what that would do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, DryRun, Yes, ask, dry_run_advised, user
from service.cli.choosing import Address, ClickId, KeyId, Outcomes, SenderName, Since, Until, chosen, not_empty
from service.cli.export import CLOCK_WRONG
from service.cli.printing import Json, print_json, say
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import database_of, refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.replay import ReplayReport, Step
    from service.operations.replay_author import Author

_Vouch = Annotated[
    bool, typer.Option("--vouch", help="Also what was unauthenticated or forbidden: you answer for its sender.")
]

_As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="SENDER",
        callback=not_empty,
        help="Whose it is that came without proof of its sender: a registered sender. You answer for that.",
        show_default="nobody's",
    ),
]
_SHOWN = 30  # groups

_WHY = ": `rejected show` says why they were refused, and of a whole batch what to do"


def replay(  # noqa: PLR0913 - the filters
    outcome: Outcomes = None,
    sender: SenderName = None,
    since: Since = None,
    until: Until = None,
    click_id: ClickId = None,
    *,
    key_id: KeyId = None,
    address: Address = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    vouch: _Vouch = False,
    as_sender: _As = None,
    as_json: Json = False,
) -> None:
    """Send rejected postbacks through today's rules again, after a fix.

    It tells what would change, asks, and stores what is accepted now, with
    the moment it first arrived. What would be rejected again is left as it
    is, and an example says why. Given again, it stores nothing twice.

    What was refused because nothing proved its sender is shown by its key
    and address. Choose by these, and say with --as whose it is: that sender's
    rules judge it ("stays invalid_value"), and its name is stored. What is
    another registered sender's stays as it is.

    On SQLite stop the service first (--dry-run needs no stop).

    Example: python -m service replay --outcome invalid_value --since 7d

    JSON keys: done, steps [{before after changes sender key_id client_ip
    key_sender count example {request_id why}}].

    Exit code: 0 done, or nothing to do, 1 you said no, 2 it cannot be done,
    or --yes is missing where nobody can be asked.
    """
    wanted = chosen(outcome, sender, since, until, click_id, key_id=key_id, address=address)
    asked = wanted.until
    wanted = replace(wanted, until=asked or datetime.now(UTC), not_replayed=True)
    from service.operations import replay as operations

    author, agree = _author(by, as_sender, vouches=vouch), partial(_ask, yes=yes, err=as_json)
    with database_of(sender) as database, dry_run_advised():
        rehearsing = operations.rehearse(database, wanted, author) if dry_run else None
        report = asyncio.run(rehearsing or operations.replay(database, wanted, author, agree))
        _tell_left_out(0 if asked else operations.left_out(database, wanted))
    _tell(report, as_json=as_json)


def _tell(report: "ReplayReport", *, as_json: bool) -> None:
    if as_json:
        print_json(report.members())
    else:
        _print(report)


def _ask(foreseen: "ReplayReport", *, yes: bool, err: bool) -> None:
    if not yes:
        _print(foreseen, err=err)
        ask(f"Replay these {foreseen.changed:,}?")


def _author(by: str | None, claimed: str | None, *, vouches: bool) -> "Author":
    """Return who replays, and the senders and keys that are known."""
    from service.operations.replay_author import Author

    if vouches and claimed:
        refuse(["--as says whose it is, and --vouch that it is the configured sender's: leave one of them out"])
    settings, rows = settings_or_refuse(), registered()
    roster = rows.roster()
    known = {name: one.sender for name, one in roster.senders.items()}
    owners = {key.id: key.sender for key in roster.keys.values()}
    claims = chosen_sender(claimed, settings, rows) if claimed else None
    return Author(by or user(), vouches, chosen_sender(None, settings, rows), known, claims, owners)


def _tell_left_out(left_out: int) -> None:
    if left_out:
        say(f"left out: {left_out:,} that are from after now; {CLOCK_WRONG}", err=True)


def _print(report: "ReplayReport", *, err: bool = False) -> None:
    if not report.steps:
        say("nothing to replay: no rejected postback is chosen, or all of them were replayed", err=err)
    steps = report.in_order()
    for step, number in steps[:_SHOWN]:
        say(f"{number:>9,}  {_arrow(step)}{_came(step)}", err=err)
        if example := report.examples.get(step):
            say(f"{'':11}such as {example.request_id}: {example.why}", err=err)
    if more := steps[_SHOWN:]:
        say(f"{sum(number for _, number in more):>9,}  in {len(more):,} more groups: --json lists them", err=err)
    said = "replayed" if report.done else "would be replayed"
    stay = report.steps.total() - report.changed
    say(f"{report.changed:,} {said}, {stay:,} stay as they are{_WHY if stay else ''}", err=err)


def _arrow(step: "Step") -> str:
    if step.changes:
        return f"{step.before} → {step.after}"
    return f"{step.before} stays {step.after}" if step.before != step.after else f"{step.before} stays"


def _came(step: "Step") -> str:
    """Say who it may be, of what nothing proved the sender."""
    whose = f" of {step.key_sender}" if step.key_sender else ""
    known = [f"key {step.key_id}{whose}"] if step.key_id else []
    known += [f"from {step.client_ip}"] if step.client_ip else []
    known += [f"kept as {step.sender}'s"] if step.sender else []
    return f"  ({', '.join(known)})" if known else ""
