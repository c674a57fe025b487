"""Owns how a person says which postbacks are meant: the options that `rejected`, `replay`, `export` … share."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.operations.selection import Chosen, Wanted


def not_empty(text: str | None) -> str | None:
    """Return what an option says; an empty text is bad usage, because a shell's variable may be empty (`"$S"`).

    To leave the option out may mean everybody's, so a command that goes on could change more than was asked for.
    """
    if text is not None and not text.strip():
        raise typer.BadParameter("it is empty; is a variable of the shell empty?")
    return text


Outcomes = Annotated[
    list[str] | None, typer.Option("--outcome", help="Only this outcome; give it several times for several.")
]
SenderName = Annotated[str | None, typer.Option("--sender", help="Only this sender's.", callback=not_empty)]
Since = Annotated[
    str | None, typer.Option(help="Only from then on: 2026-01-31, 2026-01-31T08:30 (UTC), or 2h, 7d: that long ago.")
]
Until = Annotated[str | None, typer.Option(help="Only before then; a date alone is its 00:00 UTC.")]
ClickId = Annotated[
    str | None,
    typer.Option(
        help="Only what was read as of this click id; lookup also finds what names it in another place.",
        callback=not_empty,
    ),
]
KeyId = Annotated[
    str | None,
    typer.Option(
        help="Only what showed the key of this public id, and was refused; the key will do, whole or cut.",
        callback=not_empty,
    ),
]
Address = Annotated[
    str | None, typer.Option(help="Only what came from this address, and was refused.", callback=not_empty)
]


def chosen(  # noqa: PLR0913 - the filters
    outcomes: list[str] | None,
    sender: str | None,
    since: str | None,
    until: str | None,
    click_id: str | None,
    *,
    key_id: str | None = None,
    address: str | None = None,
) -> "Chosen":
    """Return which rejected postbacks are meant. Raises WrongValues."""
    from service.operations.selection import Filters

    filters = Filters(sender, since, until, click_id, key_id, address)
    return filters.rejected(outcomes or (), datetime.now(UTC))


def wanted(
    sender: str | None, since: str | None, until: str | None, click_id: str | None = None, *, tests: bool = False
) -> "Wanted":
    """Return which conversions are meant, until now if nothing else is said. Raises WrongValues."""
    from service.operations.selection import Filters

    return Filters(sender, since, until, click_id).conversions(datetime.now(UTC), tests=tests)
