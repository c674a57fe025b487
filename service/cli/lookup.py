"""Owns the command `lookup`: did a click id arrive, when, how often, and what did we answer."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.printing import print_json
from service.cli.setting_up import configured_database, settings_or_refuse, storage_or_refuse
from service.core.postback import answered_status

if TYPE_CHECKING:
    from service.operations.lookup import Arrival, Found

_AWAY = "nothing waits in this host's spool under this id: ask again when the database answers"


def lookup(
    click_id: Annotated[str, typer.Argument(help="The click id exactly as it was sent.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object with all arrivals.")] = False,
) -> None:
    """Tell whether a conversion arrived, when, how often, what we answered, and its status.

    What waits in this host's spool (SPOOL_DIR) is told too, also while the database is away. What left it is told
    with both: the answer of then, and what became of it.

    Example: python -m service lookup my-first-click

    Exit 0: it is stored, or waits in the spool. 1: neither (it never came, or was rejected: then why). 2: bad
    configuration, or the database is away and nothing waits here.
    """
    from service.operations.lookup import look_up

    with configured_database() as database, storage_or_refuse(*([_AWAY] if database.shared else [])):
        found = look_up(database, settings_or_refuse().spool_dir, click_id)
    if found.unknown:
        typer.echo(f"what waits in the spool only; the database cannot be asked: {found.unknown}", err=True)
    if as_json:
        print_json(found.members())
    else:
        typer.echo("\n".join(_lines(found)))
    raise typer.Exit(0 if found.accepted else 1)


def _lines(found: "Found") -> Iterator[str]:
    arrivals = found.arrivals
    if not arrivals:
        yield f"{found.click_id}: never arrived (no postback named it, not even a rejected one)"
        return
    yield f"{found.click_id}: {_state(found)}; arrived {_times(found)}"
    for arrival in arrivals:
        when = arrival.received_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
        yield f"  {when} UTC  {arrival.door}  {_answer(arrival)}: {arrival.detail}  [{arrival.request_id}]"
    if len(found.now) > 1 or any(one.conversion_status for one in found.now):
        yield from _current(found)
    if not found.stored:
        yield f"What to do: {arrivals[-1].outcome.hint}"


def _times(found: "Found") -> str:
    """Say how often it arrived; what a replay came from may be deleted by now, and arrived all the same."""
    replays = sum(arrival.is_replay for arrival in found.arrivals)
    number = max(1, len(found.arrivals) - replays)
    times = "once" if number == 1 else f"{number} times"
    return f"{times}, replayed" if replays else times


def _answer(arrival: "Arrival") -> str:
    """Say what was answered, and where that was before it was judged, what became of it."""
    status = answered_status(arrival.door, arrival.answered, arrival.request_id)
    answer = f"{status} {arrival.answered.value}" if status else arrival.answered.value
    if arrival.answered is arrival.outcome or arrival.drained_at is None:
        return answer
    when = arrival.drained_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{answer}, and at {when} UTC {arrival.outcome.value}"


def _current(found: "Found") -> Iterator[str]:
    from service.core.verdict import amount
    from service.operations.reconcile import decimal

    for one in found.now:
        labels = {"goal": one.goal, "transaction_id": one.transaction_id}
        told = "".join(f", {name} {label}" for name, label in labels.items() if label)
        test = ", a test" if one.is_test else ""
        yield f"  now: {one.conversion_status or 'no status'}, value {amount(one)}{told}{test}"
    sums: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in found.now:
        if not one.is_test:
            sums[one.conversion_status or "no status", one.currency or "(no currency)"].append(one.value_micros)
    for (status, currency), values in sums.items():
        if len(values) > 1:
            yield f"  together: {status}, {len(values)} conversions of {decimal(sum(values))} {currency}"


def _state(found: "Found") -> str:
    if found.only_tests:
        return "stored as a test only, and counts nowhere"
    return "stored" if found.stored else "accepted, in the spool" if found.spooled else "NOT stored"
