"""Owns the command `lookup`: did a click id arrive, when, how often, and what did we answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import orjson
import typer

from service.cli.setting_up import settings_or_refuse, storage_or_refuse
from service.core.postback import answered_status

if TYPE_CHECKING:
    from service.settings import Settings
    from service.storage.reads.history import Arrival, Current


class _Found(NamedTuple):
    """Everything that named the click id; `unknown` says why the database could not be asked."""

    arrivals: "Sequence[Arrival]"
    stored: bool
    spooled: bool
    unknown: str = ""
    now: "Sequence[Current]" = ()


def lookup(
    click_id: Annotated[str, typer.Argument(help="The click id exactly as it was sent.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object with all arrivals.")] = False,
) -> None:
    """Tell whether a conversion arrived, when, how often, what we answered, and its status.

    What waits in this host's spool (SPOOL_DIR) is told too, also while the database is away.

    Exit 0: it is stored, or waits in the spool. 1: neither (it never came, or was rejected: then why). 2: bad
    configuration, or the database is away and nothing waits here.
    """
    with storage_or_refuse():
        found = _find(settings_or_refuse(), click_id)
    if found.unknown:
        typer.echo(f"what waits in the spool only; the database cannot be asked: {found.unknown}", err=True)
    typer.echo(_json(click_id, found) if as_json else _text(click_id, found))
    raise typer.Exit(0 if found.stored or found.spooled else 1)


def _find(settings: "Settings", click_id: str) -> _Found:
    """Ask the spool first: what leaves it meanwhile is in the database by then. Raises StorageError."""
    from service.core.outcome import Outcome
    from service.core.unavailable import StorageError
    from service.spool.reading import arrivals
    from service.storage.database import database_at

    database = database_at(settings.database_url)
    now: Sequence[Current] = ()
    waiting = arrivals(settings.spool_dir, click_id) if database.shared else []
    try:
        history = database.history()
        kept, now = history.arrivals(click_id), history.conversions(click_id)
    except StorageError as error:
        if not waiting:
            raise
        return _Found(waiting, stored=False, spooled=_spooled(waiting), unknown=str(error))
    known = {arrival.request_id for arrival in kept}
    waiting = [arrival for arrival in waiting if arrival.request_id not in known]
    found = sorted([*kept, *waiting], key=lambda arrival: (arrival.received_at, arrival.request_id))
    stored = any(arrival.outcome is Outcome.STORED for arrival in kept)
    return _Found(found, stored, _spooled(waiting), now=now)


def _spooled(waiting: "Sequence[Arrival]") -> bool:
    from service.core.outcome import Outcome

    return any(arrival.outcome is Outcome.SPOOLED for arrival in waiting)


def _text(click_id: str, found: _Found) -> str:
    arrivals = found.arrivals
    if not arrivals:
        return f"{click_id}: never arrived (no postback named it, not even a rejected one)"
    times = "once" if len(arrivals) == 1 else f"{len(arrivals)} times"
    state = _state(found)
    lines = [f"{click_id}: {state}; arrived {times}"]
    for arrival in arrivals:
        when = arrival.received_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
        status = answered_status(arrival.door, arrival.outcome)
        answer = f"{status} {arrival.outcome.value}" if status else arrival.outcome.value
        lines.append(f"  {when} UTC  {arrival.door}  {answer}: {arrival.detail}  [{arrival.request_id}]")
    if len(found.now) > 1 or any(one.conversion_status for one in found.now):
        lines += [f"  now: {_current(one)}" for one in found.now]
    if not found.stored:
        lines.append(f"What to do: {arrivals[-1].outcome.hint}")
    return "\n".join(lines)


def _current(one: "Current") -> str:
    from service.core.verdict import amount

    labels = {"goal": one.goal, "transaction_id": one.transaction_id}
    told = "".join(f", {name} {label}" for name, label in labels.items() if label)
    return f"{one.conversion_status or 'no status'}, value {amount(one)}{told}{', a test' if one.is_test else ''}"


def _state(found: _Found) -> str:
    stored = [arrival for arrival in found.arrivals if arrival.outcome.value == "stored"]
    if stored and all(arrival.is_test for arrival in stored):
        return "stored as a test only, and counts nowhere"
    return "stored" if found.stored else "accepted, in the spool" if found.spooled else "NOT stored"


def _json(click_id: str, found: _Found) -> str:
    rows = [
        {
            "received_at": arrival.received_at,
            "outcome": arrival.outcome.value,
            "status": answered_status(arrival.door, arrival.outcome),
            "sender": arrival.sender,
            "door": arrival.door,
            "request_id": arrival.request_id,
            "detail": arrival.detail,
            "is_test": arrival.is_test,
        }
        for arrival in found.arrivals
    ]
    now = [one._asdict() for one in found.now]
    answer = {
        "click_id": click_id,
        "stored": found.stored,
        "spooled": found.spooled,
        "conversions": now,
        "arrivals": rows,
    }
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
