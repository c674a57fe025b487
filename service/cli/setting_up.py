"""Owns what every command does first: read the settings, or say in one line each what is wrong with them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from service.settings import Settings


def settings_or_refuse(**overrides: object) -> "Settings":
    """Return the settings, or end the command with exit code 2."""
    from service.settings import WrongSettings, load_settings

    try:
        return load_settings(**overrides)
    except WrongSettings as wrong:
        refuse(wrong.lines)


def refuse(lines: Sequence[str]) -> NoReturn:
    """End the command with exit code 2 and a line on stderr for each mistake."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(2)
