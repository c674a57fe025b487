"""Owns what commands do before they change stored rows: advise a dry run, ask, and know who it is."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from service.cli.printing import say
from service.cli.setting_up import refuse
from service.core.harmless import visible
from service.operations.errors import BeingServed, Refused

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
By = Annotated[str | None, typer.Option(help="Who does it, for the record.", show_default="your user")]


@contextmanager
def dry_run_advised() -> Iterator[None]:
    """Say that a dry run works while a running service keeps the command from doing it."""
    try:
        yield
    except BeingServed as served:
        raise Refused(f"{served} (--dry-run works meanwhile)") from served


def ask(question: str) -> None:
    """Go on if a person says yes; end the command with exit code 1 for no, with 2 where nobody can be asked."""
    if not sys.stdin.isatty():
        refuse(["nobody can be asked here: say --yes to do it, or --dry-run to look only"])
    if not typer.confirm(visible(question), err=True):
        say("nothing was changed", err=True)
        raise typer.Exit(1)


def user() -> str:
    """Return who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
