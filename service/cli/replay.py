"""Owns the command `replay`: rejected postbacks sent through today's rules again, after telling what that would do."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.changing import By, DryRun, Yes, ask, user, writer_or_refuse
from service.cli.choosing import ClickId, Outcomes, SenderName, Since, Until, chosen
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import configured_database, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.replay import Author, Step
    from service.operations.selection import Chosen
    from service.operations.sole_writer import Database


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
    vouch: Annotated[
        bool,
        typer.Option("--vouch", help="Also what was unauthenticated or forbidden: you answer for its sender."),
    ] = False,
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
    wanted = replace(wanted, until=wanted.until or datetime.now(UTC), not_replayed=True)
    from service.operations import replay as operations

    settings, rows = settings_or_refuse(), registered()
    known = {name: one.sender for name, one in rows.roster().senders.items()}
    author = operations.Author(by or user(), vouch, chosen_sender(None, settings, rows), known)
    with configured_database() as database:
        if dry_run:
            foreseen = asyncio.run(operations.rehearse(database, wanted, author))
            _print(foreseen, done=False, as_json=as_json)
            return
        database.quarantine()  # where there is no file, none is made
        done = _done(database, wanted, author, yes=yes, as_json=as_json)
    _print(done, done=True, as_json=as_json)


def _done(database: "Database", wanted: "Chosen", author: "Author", *, yes: bool, as_json: bool) -> "Counter[Step]":
    """Tell what would be done, ask, and do it."""
    from service.operations import replay as operations

    with writer_or_refuse(database, "replay") as ledger:
        foreseen = asyncio.run(operations.rehearse(database, wanted, author))
        changes = sum(number for step, number in foreseen.items() if step.changes)
        if changes and not yes:
            _print(foreseen, done=False, as_json=False, err=as_json)
            ask(f"Replay these {changes:,}?")
        return asyncio.run(operations.replay(database, wanted, author, ledger)) if changes else foreseen


def _print(table: "Counter[Step]", *, done: bool, as_json: bool, err: bool = False) -> None:
    steps = sorted(table.items(), key=lambda counted: (not counted[0].changes, -counted[1], counted[0]))
    if as_json:
        rows = [{**step._asdict(), "count": number} for step, number in steps]
        typer.echo(orjson.dumps({"done": done, "steps": rows}, option=orjson.OPT_INDENT_2).decode())
        return
    if not steps:
        typer.echo("nothing to replay: no rejected postback is chosen, or all of them were replayed", err=err)
    for (before, after, changes), number in steps:
        arrow = (
            f"{before} → {after}" if changes else f"{before} stays {after}" if before != after else f"{before} stays"
        )
        typer.echo(f"{number:>9,}  {arrow}", err=err)
    changed = sum(number for step, number in steps if step.changes)
    said = "replayed" if done else "would be replayed"
    typer.echo(f"{changed:,} {said}, {sum(table.values()) - changed:,} stay as they are", err=err)
