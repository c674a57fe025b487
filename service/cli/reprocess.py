"""Owns the command `reprocess`: stored conversions read again by the rules of today, once a person has agreed."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, DryRun, Yes, ask, dry_run_advised, user
from service.cli.choosing import ClickId, Until, not_empty, wanted
from service.cli.printing import Json, print_json, say
from service.cli.progress import progress
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import configured_database, refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.reprocess import Group, Reprocessed

_Sender = Annotated[
    str, typer.Option(help="Whose conversions are read again, by its rules of today.", callback=not_empty)
]
_Since = Annotated[
    str,
    typer.Option(help="What came from then on: 2026-01-31, 2026-01-31T08:30 (UTC), or 2h, 7d: that long ago."),
]
_OTHER_KEY = "would have another click id, goal or transaction id today: left as they are"
_TWICE = "of these are stored under today's key as well: the same sale is counted twice"
_REPEATS = "duplicates of these came, perhaps other sales: what they sent is not kept, and cannot be read again"
_Reason = Annotated[str, typer.Option(help="Why, for the record; needed unless it is a dry run.", show_default=False)]


def reprocess(  # noqa: PLR0913 - its options
    *,
    sender: _Sender,
    since: _Since,
    until: Until = None,
    click_id: ClickId = None,
    reason: _Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Read stored conversions again by today's rules of their sender, and correct them.

    After a fix: a parameter that the preset or --field now knows as the
    value, another number format, a currency, a word for a status. It tells
    what would change, asks, and adds a correction to the history of each
    conversion. What was stored stays, and `lookup`, `export` and `reconcile`
    tell what the conversion is worth now. A retry of what was sent stays a
    duplicate. Click id, goal and transaction id never change; tests are left
    out. Given twice, or interrupted and given again, it corrects once.

    On SQLite stop the service first (--dry-run needs no stop).

    Example: python -m service reprocess --sender acme --since 2026-01-01 --dry-run

    JSON keys: done, corrected [{why count sums click_ids}], rejected {outcome
    count}, other_key, twice, those three with _click_ids, repeats, unchanged;
    sums are differences by currency.

    Exit code: 0 done, or nothing to do, 1 you said no, 2 it cannot be done,
    or --yes is missing where nobody can be asked.
    """
    if not (dry_run or reason.strip()):
        refuse(["say --reason: it is kept with each correction (--dry-run needs none)"])
    from service.operations import reprocess as operations

    whose = chosen_sender(sender, settings_or_refuse(), registered())
    with configured_database() as database, dry_run_advised():
        chosen, listed = wanted(whose.name, since, until, click_id), None if as_json else operations.LISTED
        order = operations.Order(chosen, whose, progress, listed)
        if dry_run:
            report = operations.rehearse(database, order)
        else:
            agree = partial(_ask, yes=yes, err=as_json)
            report = operations.reprocess(database, order, by or user(), reason.strip(), agree)
    if as_json:
        print_json(report.members())
    else:
        _print(report)


def _ask(foreseen: "Reprocessed", *, yes: bool, err: bool) -> None:
    if not yes:
        _print(foreseen, err=err)
        ask(f"Correct these {foreseen.changed:,}?")


def _print(report: "Reprocessed", *, err: bool = False) -> None:
    say(*_lines(report), err=err)


def _lines(report: "Reprocessed") -> Iterator[str]:
    for why, group in report.in_order():
        yield from _told(group, f"{'; '.join(why)}{_sums(group)}")
    for outcome, group in sorted(report.rejected.items(), key=lambda named: -named[1].count):
        yield from _told(group, f"would be {outcome} today: left as they are")
    if report.other_key.count:
        yield from _told(report.other_key, _OTHER_KEY)
    if report.twice.count:
        yield from _told(report.twice, _TWICE)
    if report.repeats:
        yield f"{report.repeats:>9,}  {_REPEATS}"
    said = "corrected" if report.done else "would be corrected"
    yield f"{report.changed:,} {said}, {report.unchanged:,} are read as they were"


def _told(group: "Group", what: str) -> Iterator[str]:
    """Tell of a group, and its first click ids; all with --json."""
    more = group.count - len(group.click_ids)
    yield f"{group.count:>9,}  {what}"
    yield f"           {', '.join(group.click_ids)}{f' and {more:,} more' if more else ''}"


def _sums(group: "Group") -> str:
    sums = sorted((currency or "(no currency)", micros) for currency, micros in group.sums.items() if micros)
    told = [f"{_signed(micros)} {currency}" for currency, micros in sums]
    return f", sum {', '.join(told)}" if told else ""


def _signed(micros: int) -> str:
    from service.operations.reconciling.operation import decimal

    whole, _, fraction = decimal(abs(micros)).partition(".")
    return f"{'-' if micros < 0 else '+'}{int(whole):,}.{fraction}"
