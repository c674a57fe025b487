"""Owns the command `check`: what would happen to this postback URL, and why, without storing anything."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.printing import print_json
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import configured_database, refuse, settings_or_refuse
from service.core.outcome import Family, Outcome
from service.core.presets import PRESETS

if TYPE_CHECKING:
    from service.core.sender import Sender
    from service.operations.check import Foreseen, Listening
    from service.settings import Settings

_VOUCH = "Or check it with --sender NAME: then no key is asked for."


def check(
    url: Annotated[str, typer.Argument(help="The postback URL, whole or from the path on; quote it for the shell.")],
    *,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"How the sender writes: {', '.join(PRESETS)}. No key is asked for.", show_default="POSTBACK_PRESET"
        ),
    ] = None,
    numbers: Annotated[
        str | None,
        typer.Option(
            help="How it writes amounts: point, comma or cents. No key is asked for.", show_default="POSTBACK_NUMBERS"
        ),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(help="Whose it is: a registered sender. No key is asked for.", show_default="whose its key is"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what would happen to a postback URL, and why. Nothing is sent and nothing is stored.

    It is judged as the running service would judge the request: whose it is
    follows from the key in the URL. From which address it would come, and
    how fast, is not asked.

    JSON keys: outcome, status, detail, hint, mistake, sender, fields.

    Example: python -m service check '/postback?c=my-click&value=1.50'

    Exit 0: it would be accepted. 1: it would not. 2: not a URL, or bad configuration.
    """
    if sender and (preset or numbers):
        refuse(["--sender says how it writes: leave --preset and --numbers out"])
    from service.operations.check import check as foresee

    settings = settings_or_refuse(preset=preset, numbers=numbers)
    with configured_database() as database:
        whose = settings.sender if preset or numbers else _whose(sender, settings)
        foreseen = asyncio.run(foresee(url, whose, database))
    hint = foreseen.hint
    if foreseen.outcome is Outcome.UNAUTHENTICATED:
        hint = f"{hint} {_VOUCH}"
    if as_json:
        print_json({**foreseen.members(), "hint": hint})
    else:
        typer.echo(_text(foreseen, hint))
    raise typer.Exit(0 if foreseen.outcome.family is Family.ACCEPTED else 1)


def _whose(name: str | None, settings: "Settings") -> "Listening | Sender":
    """Return the sender of a name; without a name, what decides by the request."""
    from service.operations.check import Listening

    rows = registered()
    if name is not None:
        return chosen_sender(name, settings, rows)
    return Listening(settings.auth, settings.host, settings.sender, rows.roster())


def _text(foreseen: "Foreseen", hint: str) -> str:
    outcome = foreseen.outcome
    lines = [f"{outcome.value} (HTTP {foreseen.status})" + (f": {foreseen.detail}" if foreseen.detail else "")]
    if outcome is not Outcome.STORED or foreseen.diagnosis:
        lines.append(f"hint: {hint}")
    if fields := foreseen.fields:
        lines += [f"  {name:<15} {value}" for name, value in fields.items()]
    elif foreseen.sender:
        lines.append(f"  {'sender':<15} {foreseen.sender}")
    return "\n".join(lines)
