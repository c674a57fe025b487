"""Owns what commands do first: read the settings and find the database, or say in one line each what is wrong."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from service.cli.printing import say

if TYPE_CHECKING:
    from service.settings import Settings
    from service.storage.database import Database

_COMMIT_SECONDS = 10.0  # with its retries: nobody waits for an answer here


def settings_or_refuse(**overrides: object) -> "Settings":
    """Return the settings, or end the command with exit code 2."""
    from service.settings import WrongSettings, load_settings

    try:
        return load_settings(**overrides)
    except WrongSettings as wrong:
        refuse(wrong.lines)


@contextmanager
def configured_database() -> "Iterator[Database]":
    """Return the database of the settings; what storage cannot do ends the command with exit code 2."""
    from service.storage.database import database_at

    database = database_at(settings_or_refuse().database_url)
    with storage_or_refuse(), closing(database):
        yield database


@contextmanager
def database_of(sender: str | None) -> "Iterator[Database]":
    """Return the database of the settings. A sender's name that nobody has ends the command with exit code 2."""
    from service.operations.register.names import refuse_unknown

    with configured_database() as database:
        refuse_unknown(database, sender)
        yield database


@contextmanager
def storage_or_refuse(*advice: str) -> "Iterator[None]":
    """End the command with exit code 2 when storage cannot do something; say why, and then the advice."""
    from service.core.unavailable import StorageError

    try:
        yield
    except StorageError as error:
        refuse([str(error), *advice])


@contextmanager
def readable_or_refuse(path: Path | None = None) -> "Iterator[None]":
    """End the command with exit code 2 when a file is not there or cannot be read, and say why."""
    from service.operations.files.row_file import UnreadableFile

    if path is not None and not path.is_file():  # it is read twice, so it cannot be a pipe
        refuse([f"{path}: there is no such file"])
    try:
        yield
    except UnreadableFile as error:
        refuse([str(error)])


def refuse(lines: Sequence[str]) -> NoReturn:
    """End the command with exit code 2 and a line on stderr for each mistake."""
    say(*lines, err=True)
    raise typer.Exit(2)
