"""Owns the command `check`: what would happen to this postback URL, and why, without storing anything."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.choosing import not_empty
from service.cli.printing import print_json, say
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import configured_database, refuse, settings_or_refuse
from service.core.outcome import Outcome
from service.core.presets import PRESETS

if TYPE_CHECKING:
    from service.operations.check import Foreseen

_HOW = (
    "Is the key in a header? Show it with --key. Have you none? --sender NAME tells what a good key would make of it."
)


_Key = Annotated[str, typer.Option(help="The API key that a header carries beside the URL.", show_default="none")]
_Sender = Annotated[
    str | None,
    typer.Option(
        help="Whose it should be: a registered sender. Also tells what it would be with a good key of that sender.",
        show_default="whose its key is",
        callback=not_empty,
    ),
]


def check(  # noqa: PLR0913 - its options
    url: Annotated[str, typer.Argument(help="The postback URL, whole or from the path on; quote it for the shell.")],
    *,
    key: _Key = "",
    sender: _Sender = None,
    preset: Annotated[
        str | None,
        typer.Option(help=f"How the sender of open mode writes: {', '.join(PRESETS)}.", show_default="POSTBACK_PRESET"),
    ] = None,
    numbers: Annotated[
        str | None,
        typer.Option(help="How it writes amounts: point, comma or cents.", show_default="POSTBACK_NUMBERS"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what would happen to a postback URL, and why. Nothing is sent and nothing is stored.

    The first line is what the running service would answer. The key in the URL,
    or in --key, says who sends. If that is not the sender (or preset) that you
    name, the last lines tell what would become of the URL as that sender's.
    From which address it would come, and how fast, is not asked.
    White space and quotation marks around a pasted URL are left out.

    JSON keys: outcome, status, detail, hint, mistake, sender, known_by,
    fields, notes, supposed (the same keys again, or null).

    Example: python -m service check '/postback?c=my-click&value=1.50'

    Exit 0: it would be accepted, and as the sender's that you named. 1: it
    would not. 2: not a URL, or bad configuration.
    """
    if sender and (preset or numbers):
        refuse(["--sender says how it writes: leave --preset and --numbers out"])
    from service.operations.check import Listening
    from service.operations.check import check as foresee

    settings, rows = settings_or_refuse(preset=preset, numbers=numbers), registered()
    listening = Listening(settings.auth, settings.host, settings.sender, rows.roster())
    supposed = chosen_sender(sender, settings, rows) if sender else settings.sender if preset or numbers else None
    with configured_database() as database:
        foreseen = asyncio.run(foresee(url, listening, database, key=key, supposed=supposed))
    if as_json:
        print_json(foreseen.members())
    else:
        say(*_lines(foreseen, sender or preset or settings.sender.name))
    raise typer.Exit(0 if foreseen.accepted else 1)


def _lines(foreseen: "Foreseen", named: str) -> Iterator[str]:
    yield from _told(foreseen)
    if foreseen.outcome is Outcome.UNAUTHENTICATED and foreseen.supposed is None:
        yield _HOW
    yield from (f"note: {note}" for note in foreseen.notes)
    if foreseen.supposed:
        whose = f", and the door takes it for {foreseen.sender}'s" if foreseen.sender else ""
        yield f"that is not {named}'s{whose}; with a good key of {named}'s it would be:"
        yield from _told(foreseen.supposed)


def _told(foreseen: "Foreseen") -> Iterator[str]:
    outcome = foreseen.outcome
    detail = f": {foreseen.detail}" if foreseen.detail else ""
    yield f"{outcome.value} (HTTP {foreseen.status}){detail}"
    if outcome is not Outcome.STORED or foreseen.diagnosis:
        yield f"hint: {foreseen.hint}"
    named = foreseen.fields or ({"sender": foreseen.sender} if foreseen.sender else {})
    if named and foreseen.known_by:
        named["sender"] = f"{foreseen.sender} ({foreseen.known_by})"
    yield from (f"  {name:<15} {value}" for name, value in named.items())
