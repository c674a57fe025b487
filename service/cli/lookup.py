"""Owns the command `lookup`: did a click id arrive, when, how often, and what did we answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.setting_up import refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.storage.history import Arrival


def lookup(
    click_id: Annotated[str, typer.Argument(help="The click id exactly as it was sent.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object with all arrivals.")] = False,
) -> None:
    """Tell whether a conversion arrived, when, how often, and what we answered.

    Exit 0: it is stored. 1: it is not (it never came, or was rejected: then why). 2: bad configuration.
    """
    from service.storage.database import database_at
    from service.storage.engine import StorageError

    try:
        history = database_at(settings_or_refuse().database_url).history()
        stored = bool(history.conversions(click_id))
        arrivals = history.arrivals(click_id)
    except StorageError as error:
        refuse([str(error)])
    typer.echo(_json(click_id, arrivals, stored=stored) if as_json else _text(click_id, arrivals, stored=stored))
    raise typer.Exit(0 if stored else 1)


def _text(click_id: str, arrivals: "Sequence[Arrival]", *, stored: bool) -> str:
    if not arrivals:
        return f"{click_id}: never arrived (no postback named it, not even a rejected one)"
    times = "once" if len(arrivals) == 1 else f"{len(arrivals)} times"
    lines = [f"{click_id}: {'stored' if stored else 'NOT stored'}; arrived {times}"]
    for arrival in arrivals:
        when = arrival.received_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
        answer = f"{arrival.outcome.status} {arrival.outcome.value}"
        lines.append(f"  {when} UTC  {arrival.door}  {answer}: {arrival.detail}  [{arrival.request_id}]")
    if not stored:
        lines.append(f"What to do: {arrivals[-1].outcome.hint}")
    return "\n".join(lines)


def _json(click_id: str, arrivals: "Sequence[Arrival]", *, stored: bool) -> str:
    rows = [
        {
            "received_at": arrival.received_at,
            "outcome": arrival.outcome.value,
            "status": arrival.outcome.status,
            "sender": arrival.sender,
            "door": arrival.door,
            "request_id": arrival.request_id,
            "detail": arrival.detail,
        }
        for arrival in arrivals
    ]
    answer = {"click_id": click_id, "stored": stored, "arrivals": rows}
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
