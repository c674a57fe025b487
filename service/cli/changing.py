"""Owns what commands do before they change stored rows: become the database's writer, ask, and know who it is."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.setting_up import refuse
from service.core.unavailable import ErrorKind

if TYPE_CHECKING:
    from service.storage.database import Database
    from service.storage.ledger import Ledger

_COMMIT_SECONDS = 10.0  # nobody waits for an answer here

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
By = Annotated[str | None, typer.Option(help="Who does it, for the record.", show_default="your user")]


@contextmanager
def writer_or_refuse(database: "Database", what: str) -> "Iterator[Ledger]":
    """Open the database's writer: on SQLite from before the question on, so that what is done is what was shown.

    While the file is being served the command ends with exit code 2.
    """
    from service.core.unavailable import StorageError

    ledger = database.ledger(_COMMIT_SECONDS)
    try:
        ledger.open()
    except StorageError as error:
        if error.kind != ErrorKind.LOCKED:
            raise
        refuse([f"{error}; SQLite has one writer: stop the service first, then {what} (--dry-run works meanwhile)"])
    try:
        yield ledger
    finally:
        ledger.close()


def ask(question: str) -> None:
    """Go on if a person says yes; end the command with exit code 1 for no, with 2 where nobody can be asked."""
    if not sys.stdin.isatty():
        refuse(["nobody can be asked here: say --yes to do it, or --dry-run to look only"])
    if not typer.confirm(question, err=True):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(1)


def user() -> str:
    """Return who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
